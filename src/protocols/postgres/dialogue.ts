import type { Duplex } from 'node:stream'
import type { Backend } from './upstream.ts'
import { cstring, int16, int32, joined, message } from './codec/writing.ts'
import { frontend } from './codec/frontend.ts'
import { readFields } from './codec/backend.ts'
import { Pipeline, type TransactionStatus } from './pipeline.ts'
import { type Expecting, Replies } from './replies.ts'
import { SpentMemory } from './spent-memory.ts'

export interface DialogueParts {
  readonly backend: Backend
  readonly rowBytes: number
  /** No client is behind it: questions are all there is, also of how to end a transaction that failed. */
  readonly own?: true
  toClient(bytes: Buffer): void
  /** All that was given to the client is with the system: nobody in this process reads it any more. */
  taken(): boolean
  named?(applicationName: string): void
  /** ReadyForQuery came for something that the client sent. */
  ready(status: TransactionStatus): void
  /** The server's side is over. Called once. */
  over(cause: Error | undefined): void
}

export type Rows = readonly (readonly (string | null)[])[]

/** The server said no to a question of our own. */
export class AskFailed extends Error {
  override readonly name = 'AskFailed'
}

const mostRows = 500_000
const oneWrite = 64 * 1_024
const mostPieces = 64
const stopMs = 5_000
/** Messages that may wait for their answers at one moment. */
const mostUnanswered = 4_096
const flushMessage = message(frontend.flush)
const syncMessage = message(frontend.sync)
const questionName = 'countersign_question'

/** Our side of the talk with the server: what is sent, in order, and what comes back. */
export class Dialogue {
  readonly pipeline = new Pipeline()
  readonly replies: Replies
  /** Settings as the server last reported them: when a batch ends. */
  readonly settings: Map<string, string>
  readonly #parts: DialogueParts
  readonly #socket: Duplex
  readonly #spent = new SpentMemory()
  #out: Buffer[] = []
  #waiting: { readonly test: () => boolean; readonly resolve: () => void; readonly reject: (cause: Error) => void }[] = []
  #ended: Error | undefined
  /** Behind the last bytes that were written: the server's answers are on their way to us. */
  #flushed = true
  #stopping = false
  /** There is a limit to be kept. */
  #mustStop = false

  constructor(parts: DialogueParts) {
    this.#parts = parts
    this.#socket = parts.backend.socket
    this.settings = new Map(parts.backend.parameters)
    this.replies = new Replies({
      pipeline: this.pipeline,
      rowBytes: parts.rowBytes,
      spent: this.#spent,
      toClient: parts.toClient,
      reported: (name, value) => {
        this.settings.set(name, value)
        if (name === 'application_name') parts.named?.(value)
      },
      ready: (sent) => {
        if (sent.quiet !== 'all') parts.ready(this.pipeline.status)
      },
    })
  }

  begin(): void {
    const { backend } = this.#parts
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('error', (cause: Error) => this.end(cause))
    this.#socket.on('close', () => this.end(undefined))
    this.#socket.on('end', () => this.end(undefined))
    if (backend.rest.length > 0) this.#receive(backend.rest)
    this.#socket.resume()
  }

  get over(): boolean {
    return this.#ended !== undefined
  }

  send(sent: Expecting, bytes: Buffer): void {
    if (this.#ended !== undefined) return sent.lost?.()
    // Its time begins when it is written and all before it is answered, and the server keeps answers to itself until somebody asks for them.
    const limit = sent.execution?.limit
    if (limit !== undefined && this.pipeline.running !== undefined) this.askForAnswers()
    this.pipeline.send(sent)
    this.#out.push(bytes)
    this.#flushed = sent.kind === 'query' || sent.kind === 'sync'
  }

  /** What the server does not answer. */
  sendUnanswered(bytes: Buffer): void {
    if (this.#ended === undefined) this.#out.push(bytes)
  }

  /** More waits to be written than one write should take, or to be answered than should be kept in mind. */
  get crowded(): boolean {
    return this.#out.length > mostPieces || this.pipeline.size > mostUnanswered
  }

  /** Writes what was sent. What it gives back has to be waited for before more is sent. */
  makeRoom(): Promise<void> | undefined {
    if (this.pipeline.size <= mostUnanswered) return this.write() ? undefined : this.drained()
    this.askForAnswers()
    this.write()
    return this.until(() => this.pipeline.size <= mostUnanswered / 2)
  }

  askForAnswers(): void {
    if (this.#flushed) return
    this.sendUnanswered(flushMessage)
    this.#flushed = true
  }

  /** Writes what was sent. False: the server does not take more at the moment; wait for `drained`. */
  write(): boolean {
    if (this.#stopping) return false
    this.pipeline.running?.limit?.run()
    if (this.#out.length === 0) return !this.#socket.writableNeedDrain
    const out = joined(this.#out)
    this.#out = []
    if (out.length === 1) return this.#socket.write(out[0] as Buffer)
    let size = 0
    for (const piece of out) size += piece.length
    if (size <= oneWrite) return this.#socket.write(Buffer.concat(out, size))
    this.#socket.cork()
    for (const piece of out) this.#socket.write(piece)
    this.#socket.uncork()
    return !this.#socket.writableNeedDrain
  }

  drained(): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return this.until(() => !this.#stopping && !this.#socket.writableNeedDrain, (check) => {
      if (this.#socket.writableNeedDrain) this.#socket.once('drain', check)
    })
  }

  /** Passes on that the client does not want what runs. */
  cancel(): void {
    this.write() // what waits to be written is meant as well
    this.#askToStop()
  }

  /** Asks the server to stop what runs. Where it cannot be asked, the connection ends: a limit that cannot be kept is no limit. */
  stop(): void {
    this.#mustStop = true
    this.#askToStop()
  }

  /** Until the server has heard it, nothing more is written: it would stop what comes next instead. */
  #askToStop(): void {
    if (this.#stopping || this.#ended !== undefined) return
    this.#stopping = true
    const heard = (): void => {
      this.#stopping = this.#mustStop = false
      if (this.#ended !== undefined) return
      this.write()
      this.#check()
    }
    this.#parts.backend.cancel(AbortSignal.timeout(stopMs)).then(heard, (cause: unknown) => (this.pipeline.size === 0 || !this.#mustStop ? heard() : this.end(new Error('the server could not be asked to stop', { cause }))))
  }

  /** Resolves once the test is true; it is made again whenever the server has said something. Rejects when the server's side is over. */
  until(test: () => boolean, also?: (check: () => void) => void): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    if (test()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ test, resolve, reject })
      also?.(() => this.#check())
    })
  }

  /** Everything that was sent is answered. */
  async settled(): Promise<void> {
    if (this.pipeline.size === 0) return
    this.askForAnswers()
    this.write()
    await this.until(() => this.pipeline.size === 0)
  }

  /** Whether a question of our own disturbs nothing. */
  get mayAsk(): boolean {
    const { pipeline } = this
    return this.#ended === undefined && pipeline.size === 0 && !pipeline.open && !pipeline.skipping && (pipeline.status !== 'failed' || this.#parts.own === true)
  }

  /**
   * One statement of our own that only reads, between two batches of the client. It goes by names of its own, so that the client's unnamed
   * statement stays. Inside a transaction a failure is the transaction's.
   */
  ask(sql: string, withinMs: number): Promise<Rows> {
    if (!this.mayAsk) return Promise.reject(new AskFailed('nothing can be asked at the moment'))
    return new Promise((resolve, reject) => {
      const rows: (readonly (string | null)[])[] = []
      let failure: Error | undefined
      this.#socket.resume() // a client that does not read what it got has nothing to do with it
      const stop = setTimeout(() => this.stop(), withinMs)
      // Whoever does not answer that either is not there any more.
      const leave = setTimeout(() => this.end(new Error('the server does not answer')), 2 * withinMs)
      const answered = (): void => [stop, leave].forEach(clearTimeout)
      const quiet = 'all' as const
      const lost = (): void => {
        answered()
        reject(new AskFailed('the connection broke'))
      }
      const failed = (error: Buffer | undefined): void => {
        if (error !== undefined) failure ??= new AskFailed(errorText(error))
      }
      const row = (values: readonly (string | null)[]): void => {
        if (rows.length < mostRows) rows.push(values)
        else failure ??= new AskFailed('too many rows')
      }
      const ended = (): void => {
        answered()
        this.replies.asking = false
        if (failure === undefined) resolve(rows)
        else reject(failure)
      }
      const name = cstring(questionName)
      this.replies.asking = true
      this.send({ kind: 'close', quiet, failed }, message(frontend.close, 'S', name))
      this.send({ kind: 'parse', quiet, failed }, message(frontend.parse, name, cstring(sql), int16(0)))
      this.send({ kind: 'bind', quiet, failed }, message(frontend.bind, name, name, int16(0), int16(0), int16(0)))
      this.send({ kind: 'execute', quiet, failed, row }, message(frontend.execute, name, int32(0)))
      this.send({ kind: 'close', quiet, failed }, message(frontend.close, 'P', name))
      this.send({ kind: 'close', quiet, failed }, message(frontend.close, 'S', name))
      this.send({ kind: 'sync', quiet, failed, ended, lost }, syncMessage)
      this.write()
    })
  }

  #read(chunk: Buffer): void {
    this.#receive(chunk)
    if (chunk.length === chunk.buffer.byteLength) this.#spent.add(chunk.buffer)
    this.#spent.settle(this.#parts.taken())
  }

  #receive(chunk: Buffer): void {
    if (this.#ended !== undefined) return
    try {
      this.replies.feed(chunk)
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)))
      return
    }
    if (this.pipeline.running?.limit !== undefined) this.write()
    if (this.#waiting.length > 0) this.#check()
  }

  #check(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) {
      if (one.test()) one.resolve()
      else this.#waiting.push(one)
    }
  }

  end(cause: Error | undefined): void {
    if (this.#ended !== undefined) return
    this.#ended = cause ?? new Error('the server closed the connection')
    this.#out = []
    this.pipeline.abandon()
    for (const one of this.#waiting.splice(0)) one.reject(this.#ended)
    this.#parts.over(cause)
  }
}

const errorText = (error: Buffer): string => {
  const fields = readFields({ type: error[0] as number, bytes: error })
  return `${fields.get('C') ?? ''} ${(fields.get('M') ?? '').slice(0, 500)}`
}
