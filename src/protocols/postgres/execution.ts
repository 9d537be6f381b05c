import { defined } from '../../lib/defined.ts'
import type { Outcome } from '../../model/outcome.ts'
import { readFields, rowsOf } from './codec/backend.ts'
import type { TimeLimit } from './time-limit.ts'

/** One action at the server, from the first byte sent for it to what became of it. */
export class Execution {
  readonly outcome: Promise<Outcome>
  #resolve: (outcome: Outcome) => void = () => {}
  readonly #began = performance.now()
  #rows: number | undefined
  #status: string | undefined
  #failed = false
  #suspended = false
  #over = false
  maskedValues = 0
  /** Where a policy limits the time that it may take. */
  limit: TimeLimit | undefined
  /** It was stopped for a policy: what the client is told in place of the server's error. */
  stopped: Buffer | undefined

  constructor() {
    this.outcome = new Promise((resolve) => (this.#resolve = resolve))
  }

  get over(): boolean {
    return this.#over
  }

  /** One of its statements is done. */
  did(tag: string | undefined): void {
    this.#status = tag ?? 'EMPTY'
    const rows = tag === undefined ? undefined : rowsOf(tag)
    if (rows !== undefined) this.#rows = (this.#rows ?? 0) + rows
  }

  /** Rows have come and there are more: whoever comes for them goes on with the same permission. */
  suspended(rows: number): void {
    this.#suspended = true
    this.#status = 'SUSPENDED'
    this.#rows = (this.#rows ?? 0) + rows
    this.limit?.pause()
  }

  /** Nobody can come for its rows any more. */
  left(): void {
    if (this.#suspended) this.finish()
  }

  /** `undefined`: the server skipped it. */
  failed(error: Buffer | undefined): void {
    this.#failed = true
    if (error === undefined) return this.end({ result: 'failed', status: '25000', cause: 'skipped by the server: an earlier message of its batch failed' })
    this.#status = readFields({ type: error[0] as number, bytes: error }).get('C') ?? 'XX000'
  }

  /** Nothing more comes for it. */
  finish(): void {
    this.end({ result: this.#failed ? 'failed' : 'executed', ...defined({ status: this.#status, rows: this.#rows }) })
  }

  lost(): void {
    this.end({ result: 'unknown', cause: 'the connection to the server broke before its answer' })
  }

  end(outcome: Omit<Outcome, 'ms'>): void {
    if (this.#over) return
    this.#over = true
    this.limit?.pause()
    const ms = Math.round((performance.now() - this.#began) * 1_000) / 1_000
    this.#resolve(this.maskedValues > 0 ? { ...outcome, ms, maskedValues: this.maskedValues } : { ...outcome, ms })
  }
}
