import type { Logger } from 'pino'
import type { Approvals } from '../../approval/approvals.ts'
import type { Caller } from '../../model/caller.ts'
import type { Hold } from '../../model/hold.ts'
import { Refusal } from '../../model/refusal.ts'

export interface PatienceParts {
  readonly approvals: Approvals
  readonly log: Logger
  readonly caller: () => Caller
  /** There is a hold to wait for. */
  readonly began: (hold: Hold) => void
  readonly ended: () => void
  /** Told when the client is gone. */
  readonly gone: AbortSignal
}

/** The client's wait for an approval, and its wish to wait no longer. */
export class Patience {
  readonly #parts: PatienceParts
  #hold: Hold | undefined
  #cancelled = false
  #end = new AbortController()

  constructor(parts: PatienceParts) {
    this.#parts = parts
    parts.gone.addEventListener('abort', () => this.#end.abort(), { once: true })
  }

  /** Ends the wait: the client has gone, or wants it back and the store does not answer. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Whether the client waits for an approval. */
  get holding(): boolean {
    return this.#hold !== undefined
  }

  /** Whether the client has asked to cancel what is looked at now. */
  get cancelled(): boolean {
    return this.#cancelled
  }

  /** The next message is looked at: a request to cancel that comes from now on is about it. */
  begin(): void {
    this.#cancelled = false
  }

  /** The client asks to cancel what is looked at now. */
  cancel(): void {
    this.#cancelled = true
    const hold = this.#hold
    if (hold === undefined) return
    const { approvals, log, caller, gone } = this.#parts
    const end = this.#end
    approvals.withdraw(hold.id, caller()).catch((error: unknown) => {
      log.warn({ err: error, hold: hold.id }, 'a hold could not be taken back')
      if (this.#hold !== hold) return
      if (!gone.aborted) this.#end = new AbortController()
      end.abort()
    })
  }

  refuseCancelled(): void {
    if (this.#cancelled) throw new Refusal('hold-withdrawn', cancelText)
  }

  held(hold: Hold): void {
    this.#hold = hold
    if (this.#cancelled) this.cancel()
    else this.#parts.began(hold)
  }

  over(): void {
    this.#hold = undefined
    this.#parts.ended()
  }

  /** A refusal, as the client that has cancelled is told it. */
  said(refusal: Refusal): Refusal {
    if (refusal.code === 'hold-withdrawn' || refusal.code === 'upstream-unavailable') return new Refusal('hold-withdrawn', cancelText, refusal.detail)
    if (refusal.code === 'hold-pending') return new Refusal('hold-pending', 'NOT EXECUTED. Canceled on request. What waited for an approval could not be taken back: it stays open until it is decided.', refusal.detail)
    return refusal
  }
}

const cancelText = 'NOT EXECUTED. Canceled on request; what waited for an approval is taken back.'
