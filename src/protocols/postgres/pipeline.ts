import type { Execution } from './execution.ts'
import { answersPoison, type Poison } from './poison.ts'

export type TransactionStatus = 'idle' | 'open' | 'failed'

export type SentKind = 'query' | 'parse' | 'bind' | 'describe' | 'close' | 'execute' | 'sync'

/** One message that was sent to the server, and who wants to hear what became of it. */
export interface Sent {
  readonly kind: SentKind
  readonly poison?: Poison
  /** The action that it is part of. */
  readonly execution?: Execution
  /** It may ask the client for the data of a COPY. */
  readonly copyIn?: boolean
  /** The server has done it. `tag`: the text of CommandComplete; once for each statement of a Query, `undefined` for an empty one. */
  done?(tag: string | undefined): void
  /** Some rows have come, and the portal has more. */
  suspended?(): void
  /** The server said no, or skipped it because of an earlier no. Not called after `done`, but for a Query, whose later statements may fail. */
  failed?(error: Buffer | undefined): void
  /** ReadyForQuery came for it, or it was skipped. */
  ended?(status: TransactionStatus): void
  /** The connection broke before its answer came whole. */
  lost?(): void
}

const statusOf: Readonly<Record<number, TransactionStatus>> = { 0x49: 'idle', 0x54: 'open', 0x45: 'failed' }

/** The server does not speak the protocol as we know it: what its answers belong to cannot be said any more. */
export class OutOfStep extends Error {
  override readonly name = 'OutOfStep'
}

/**
 * What was sent to the server and has not been answered to its end, in order. The server answers in order too; after an error in the
 * extended protocol it skips what follows up to the next Sync. So each answer belongs to the head of this queue.
 */
export class Pipeline {
  #queue: Sent[] = []
  #head = 0
  /** No action stands before this place. */
  #idleUntil = 0
  #batch = 0
  #closedBatches = 0
  /** The Query that is being answered has had a result, or an error. */
  #answered = false
  /** As the last ReadyForQuery said. */
  status: TransactionStatus = 'idle'
  /** Messages of the extended protocol were sent, and no Sync after them. */
  open = false
  /** The server skips what comes until a Sync, and we have not sent one since. */
  skipping = false
  /** Whose COPY FROM STDIN has begun, while its end has not been answered. */
  copying: Execution | undefined
  /** How many of them have begun. */
  copies = 0

  /** Counts the stretches between two points at which the server answers ReadyForQuery. */
  get batch(): number {
    return this.#batch
  }
  /** Batches before this one are answered. */
  get answered(): number {
    return this.#closedBatches
  }
  get size(): number {
    return this.#queue.length - this.#head
  }
  get head(): Sent | undefined {
    return this.#queue[this.#head]
  }
  /** The action at which the server works, or will next. */
  get running(): Execution | undefined {
    if (this.#idleUntil < this.#head) this.#idleUntil = this.#head
    while (this.#idleUntil < this.#queue.length && this.#queue[this.#idleUntil]?.execution === undefined) this.#idleUntil++
    return this.#queue[this.#idleUntil]?.execution
  }

  send(sent: Sent): void {
    if (this.skipping && sent.kind !== 'sync') throw new Error('something was sent that the server would skip')
    this.#queue.push(sent)
    if (ends(sent.kind)) {
      this.open = false
      this.skipping = false
      this.#batch++
    } else {
      this.open = true
      if (sent.poison !== undefined) this.skipping = true
    }
  }

  /** ParseComplete, BindComplete, CloseComplete. */
  completed(kind: 'parse' | 'bind' | 'close'): void {
    this.#expect(kind).done?.(undefined)
    this.#shift()
  }

  /** RowDescription or NoData. A RowDescription of a Query comes before its rows; anything else ends a Describe. */
  described(): Sent {
    const head = this.#expect('describe', 'query')
    if (head.kind === 'describe') {
      head.done?.(undefined)
      this.#shift()
    }
    return head
  }

  /** CommandComplete or EmptyQueryResponse. */
  commandDone(tag: string | undefined): void {
    const head = this.#expect('execute', 'query')
    this.copying = undefined
    this.#answered = true
    head.done?.(tag)
    if (head.kind === 'execute') this.#shift()
  }

  portalSuspended(): void {
    this.#expect('execute').suspended?.()
    this.#shift()
  }

  copyBegins(): void {
    const { copyIn, execution } = this.#expect('execute', 'query')
    if (copyIn !== true || execution === undefined) throw new OutOfStep('data was asked for by something that is no COPY')
    this.copying = execution
    this.copies++
  }

  /** Gives back the error that the client has to read: ours, where the server's is the answer to a poison. */
  errorCame(error: Buffer): Buffer {
    const head = this.head
    if (head === undefined) return error // the server ends the session
    this.copying = undefined
    this.#answered = true
    const { poison } = head
    const answer = poison !== undefined && answersPoison(poison, error) ? poison.answer : error
    head.failed?.(error)
    if (ends(head.kind)) return answer
    this.#shift()
    this.#skip()
    return answer
  }

  ready(byte: number): Sent {
    const status = statusOf[byte]
    if (status === undefined) throw new OutOfStep('an unknown transaction status')
    const head = this.#expect('query', 'sync')
    if (head.kind === 'query' && !this.#answered) throw new OutOfStep('a Query ended without a result')
    this.copying = undefined
    this.#answered = false
    this.status = status
    this.#closedBatches++
    head.ended?.(status)
    this.#shift()
    return head
  }

  /** The connection is gone. */
  abandon(): void {
    const left = this.#queue.slice(this.#head)
    this.#queue = []
    this.#head = this.#idleUntil = 0
    for (const sent of left) sent.lost?.()
  }

  /** What the server skips: up to the next Sync that is on its way, or everything to come. */
  #skip(): void {
    for (let head = this.head; head !== undefined; head = this.head) {
      if (head.kind === 'sync') return
      if (ends(head.kind)) this.#closedBatches++ // it is skipped like all others, and no ReadyForQuery comes for it
      head.failed?.(undefined)
      head.ended?.(this.status)
      this.#shift()
    }
    this.skipping = true
    this.open = true
  }

  #expect(kind: SentKind, other = kind): Sent {
    const head = this.head
    if (head !== undefined && (head.kind === kind || head.kind === other)) return head
    throw new OutOfStep(`an answer to ${kind === other ? kind : `${kind} or ${other}`} came while ${head?.kind ?? 'nothing'} was asked`)
  }

  #shift(): void {
    this.#queue[this.#head++] = undefined as unknown as Sent
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0
      this.#head = this.#idleUntil = 0
    } else if (this.#head > 1_024) {
      this.#queue = this.#queue.slice(this.#head)
      this.#idleUntil = Math.max(0, this.#idleUntil - this.#head)
      this.#head = 0
    }
  }
}

const ends = (kind: SentKind): boolean => kind === 'query' || kind === 'sync'
