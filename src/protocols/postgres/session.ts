import { setImmediate as turn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Hold } from '../../model/hold.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Admission } from './admission.ts'
import type { Arrival } from './arrival.ts'
import type { Backlog } from './backlog.ts'
import type { Frame } from './codec/frame.ts'
import { decodeFrontend, frontend } from './codec/frontend.ts'
import { noticeResponse } from './codec/reply.ts'
import { CopyIn } from './copy-in.ts'
import type { Dialogue } from './dialogue.ts'
import { Extended } from './extended.ts'
import type { HoldNotice } from './hold-notice.ts'
import { Inbox } from './inbox.ts'
import { errorOf } from './refusal.ts'
import type { Patience } from './patience.ts'
import { Simple } from './simple.ts'
import { longTurn } from './sql/long-turn.ts'
import type { Statements } from './statements.ts'

export interface SessionParts {
  readonly arrival: Arrival
  readonly dialogue: Dialogue
  readonly patience: Patience
  readonly admission: Admission
  readonly statements: Statements
  readonly notice: HoldNotice
  readonly consoleUrl: string
  readonly backlog: Backlog
  readonly log: Logger
  /** Told once, when the client or the session is gone. */
  readonly gone: AbortController
}

const lingerMs = 5_000
const lastWordMs = 1_000

/** One client, from its first message behind the login to the end. Its messages are decided one by one, in their order. */
export class Session {
  readonly #parts: SessionParts
  readonly #inbox: Inbox
  readonly #copyIn: CopyIn
  readonly #extended: Extended
  readonly #simple: Simple
  #busy = false
  #paused = false
  #leaving = false
  #resolve: () => void = () => {}
  readonly #ended: Promise<void>
  #over = false
  #expiring = false

  constructor(parts: SessionParts) {
    const { arrival, dialogue, admission, statements, backlog } = parts
    this.#parts = parts
    this.#inbox = new Inbox(arrival.limits(), backlog)
    this.#copyIn = new CopyIn(dialogue)
    this.#extended = new Extended({ dialogue, admission, statements, copyIn: this.#copyIn })
    this.#simple = new Simple({ dialogue, admission, statements, extended: this.#extended, copyIn: this.#copyIn })
    this.#ended = new Promise((resolve) => (this.#resolve = resolve))
  }

  serve(): Promise<void> {
    const { client, rest, cancelled, draining, closing, ended, backend } = this.#parts.arrival
    client.on('data', (chunk: Buffer) => this.#receive(chunk))
    client.on('end', () => this.#lastCame())
    client.on('error', () => {}) // 'close' follows
    client.on('close', () => this.#lost())
    client.on('drain', () => backend.socket.resume())
    cancelled(() => {
      if (this.#busy) this.#parts.patience.cancel()
      if (this.#parts.dialogue.pipeline.size > 0) this.#parts.dialogue.cancel()
    })
    for (const signal of [draining, ended]) signal.addEventListener('abort', () => this.#goIfIdle(), { once: true })
    closing.addEventListener('abort', () => this.fatal(goneAway), { once: true })
    this.#parts.dialogue.begin()
    if (rest.length > 0) this.#receive(rest)
    client.resume()
    this.#goIfIdle()
    return this.#ended
  }

  toClient(bytes: Buffer): void {
    const { client, backend } = this.#parts.arrival
    if (this.#over || client.destroyed || !client.writable) return
    if (!client.write(bytes)) backend.socket.pause()
  }

  /** Between two answers of the server. */
  #say(text: string, hint: string): void {
    const { dialogue } = this.#parts
    if (!dialogue.replies.between) return
    this.toClient(noticeResponse(new Map([['S', 'NOTICE'], ['V', 'NOTICE'], ['C', '00000'], ['M', text], ['H', hint]])))
  }

  /** The last word. */
  fatal(refusal: Refusal): void {
    if (this.#over) return
    if (this.#parts.dialogue.replies.between) this.toClient(errorOf(refusal, { fatal: true, consoleUrl: this.#parts.consoleUrl }))
    this.end()
  }

  /** The server's side is over. */
  serverGone(cause: Error | undefined): void {
    if (this.#over) return
    if (cause !== undefined) this.#parts.log.warn({ err: cause }, 'a session at a database ended')
    if (this.#leaving || (cause === undefined && !this.#busy)) {
      return this.end()
    }
    const said = this.#parts.patience.holding ? 'NOT EXECUTED: it waited for an approval. Send it again, and it joins its hold if that is still open.' : 'What was under way may or may not have taken effect.'
    this.fatal(new Refusal('draining', `The connection to the database has ended. ${said}`))
  }

  end(): void {
    if (this.#over) return
    this.#over = true
    this.#inbox.drop()
    this.#parts.gone.abort()
    this.#parts.notice.stop()
    this.#extended.drop()
    this.#parts.dialogue.end(undefined)
    const { client } = this.#parts.arrival
    if (client.destroyed) return this.#resolve()
    const late = setTimeout(this.#resolve, lastWordMs)
    client.once('close', () => {
      clearTimeout(late)
      this.#resolve()
    })
    client.end()
    client.resume()
  }

  /** ReadyForQuery has gone to the client. */
  ready(): void {
    const { draining, ended } = this.#parts.arrival
    if (draining.aborted || ended.aborted) setImmediate(() => this.#goIfIdle())
  }

  #goIfIdle(): void {
    const { pipeline } = this.#parts.dialogue
    const { draining, ended } = this.#parts.arrival
    if (this.#over) return
    if (ended.aborted) return this.#expire()
    if (this.#busy || this.#inbox.size > 0 || pipeline.size > 0 || pipeline.open) return
    if (draining.aborted && pipeline.status === 'idle') this.fatal(new Refusal('draining', 'This replica is going away. Connect again.'))
  }

  /** The token has come to its end. What the server runs now may end, and its answer is the last; a COPY that needs the client may not go on. */
  #expire(): void {
    const { dialogue, patience, arrival } = this.#parts
    const { pipeline } = dialogue
    if (patience.holding || pipeline.copying !== undefined || (pipeline.size === 0 && !this.#busy)) return this.fatal(arrival.ended.reason as Refusal)
    if (this.#busy || this.#expiring) return
    this.#expiring = true
    const { client } = arrival
    client.setTimeout(lingerMs, () => client.writableNeedDrain && this.end()) // it does not read what it asked for
    dialogue.settled().then(() => this.#goIfIdle(), () => {})
  }

  #receive(chunk: Buffer): void {
    const inbox = this.#inbox
    if (this.#over || inbox.broken !== undefined || this.#parts.arrival.ended.aborted) return
    inbox.feed(chunk)
    if (inbox.isCrowdedOut) return this.fatal(crowdedOut)
    if (inbox.full && !this.#paused && this.#busy) {
      this.#paused = true
      this.#parts.arrival.client.pause()
    }
    if (this.#inbox.farewell && this.#parts.patience.holding) this.#leave()
    else this.#pump()
  }

  /** The client sends nothing more: all that it has sent is served as the server would, but for what an approval would let run. */
  #lastCame(): void {
    if (!this.#inbox.farewell) this.#inbox.push({ type: frontend.terminate, bytes: terminateMessage })
    if (this.#parts.patience.holding) this.#leave()
    else this.#pump()
  }

  /** Nobody hears what the server answers, but the journal. */
  #lost(): void {
    this.#parts.arrival.backend.socket.resume()
    this.#leave()
    if (this.#parts.dialogue.pipeline.size === 0) this.end()
  }

  /** A client that has sent too much is not read any more: this looks whether it is still there. */
  async look(): Promise<void> {
    if (!this.#paused) return
    const { client } = this.#parts.arrival
    client.resume()
    await turn() // reading begins
    await turn() // what has come, or gone, is known
    if (this.#paused) client.pause()
  }

  /** There is a hold to wait for. */
  held(hold: Hold): void {
    if (this.#inbox.farewell) this.#leave()
    else if (this.#parts.arrival.ended.aborted) this.#expire()
    else this.#parts.notice.start(hold, (text, hint) => this.#say(text, hint))
  }

  #pump(): void {
    if (this.#busy || this.#over || this.#leaving) return
    const { dialogue, arrival } = this.#parts
    if (arrival.ended.aborted && !this.#inbox.farewell) return this.#expire()
    try {
      for (let frame = this.#inbox.next(); frame !== undefined; frame = this.#inbox.next()) {
        this.#parts.patience.begin()
        const wait = this.#handle(frame)
        if (this.#over || this.#leaving) return
        if (wait !== undefined) return this.#after(wait)
        const room = dialogue.crowded ? dialogue.makeRoom() : undefined
        if (room !== undefined) return this.#after(room)
      }
      if (!dialogue.write()) return this.#after(dialogue.drained())
      if (this.#paused) {
        this.#paused = false
        this.#parts.arrival.client.resume()
      }
    } catch (error) {
      return this.#failed(error)
    }
    if (this.#inbox.broken !== undefined) this.#failed(this.#inbox.broken)
  }

  #after(wait: Promise<void>): void {
    this.#busy = true
    wait.then(
      () => {
        this.#busy = false
        this.#pump()
        this.#goIfIdle()
      },
      (error: unknown) => this.#failed(error),
    )
  }

  #failed(error: unknown): void {
    if (this.#over || this.#parts.dialogue.over) return
    if (!(error instanceof Refusal)) this.#parts.log.error({ err: error }, 'a session failed in a way that nobody foresaw')
    this.fatal(error instanceof Refusal ? error : new Refusal('store-unavailable', 'Internal error.'))
  }

  #handle(frame: Frame): Promise<void> | undefined {
    if (frame.type === frontend.terminate) return void this.#leave(frame.bytes)
    if (this.#copyIn.takes()) return this.#copyIn.take(frame)
    if (frame.type === frontend.copyData || frame.type === frontend.copyDone || frame.type === frontend.copyFail) return undefined // of a COPY that has failed
    const wait = frame.type === frontend.query || frame.type === frontend.parse ? longTurn(frame.bytes.length) : undefined
    if (wait === undefined) return this.#take(frame)
    this.#parts.dialogue.write() // what stands before it does not wait as well
    return wait.then(() => (this.#over || this.#leaving ? undefined : this.#take(frame)))
  }

  #take(frame: Frame): Promise<void> | undefined {
    if (this.#parts.dialogue.pipeline.skipping && frame.type !== frontend.sync) return void this.#extended.drop()
    const message = decodeFrontend(frame)
    if (message.type === 'query') return this.#simple.query(frame, message.sql)
    if (message.type === 'function-call') return void this.#simple.functionCall(message.oid)
    return this.#extended.handle(frame, message)
  }

  /** The client goes. What runs is let run to its end for a while, so that its end is known; nothing more begins. */
  #leave(terminate: Buffer = terminateMessage): void {
    if (this.#leaving || this.#over) return
    this.#leaving = true
    this.#parts.gone.abort()
    const { dialogue } = this.#parts
    dialogue.sendUnanswered(terminate)
    dialogue.write()
    const late = setTimeout(() => this.end(), lingerMs)
    void this.#ended.then(() => clearTimeout(late))
  }
}

const crowdedOut = new Refusal('too-many-waiting', 'Clients have sent more at this moment than there is room for.', { instead: 'Connect again a little later, and send less at once.' })

const goneAway = new Refusal('draining', 'This replica has gone away. What was not committed is taken back.', { instead: 'Connect again.' })

const terminateMessage = Buffer.from([frontend.terminate, 0, 0, 0, 4])
