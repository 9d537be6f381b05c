import { setImmediate as turn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Action } from '../../model/action.ts'
import type { Hold } from '../../model/hold.ts'
import { Refusal } from '../../model/refusal.ts'
import { Admission } from './admission.ts'
import { aborted, deniedText } from './answer.ts'
import type { Arrival } from './arrival.ts'
import type { Backlog } from './backlog.ts'
import type { Frame } from './codec/frame.ts'
import { decodeFrontend, frontend } from './codec/frontend.ts'
import { noticeResponse } from './codec/reply.ts'
import { Dialogue } from './dialogue.ts'
import type { Execution } from './execution.ts'
import { Extended } from './extended.ts'
import type { HoldNotice } from './hold-notice.ts'
import { Inbox } from './inbox.ts'
import { makePoison, poisonedQuery } from './poison.ts'
import { errorOf } from './refusal.ts'
import type { Reading } from './sql/reading.ts'
import { hasFailed } from './state.ts'
import type { Statements } from './statements.ts'
import type { Expecting } from './replies.ts'
import type { Watching } from './watching.ts'

export interface SessionParts {
  readonly arrival: Arrival
  readonly dialogue: Dialogue
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
  readonly #extended: Extended
  #busy = false
  #paused = false
  /** A COPY FROM STDIN whose data the client sends; the query it belongs to, if it came in one. */
  #copy: { readonly query: Execution | undefined } | undefined
  #leaving = false
  #resolve: () => void = () => {}
  readonly #ended: Promise<void>
  #over = false
  #expiring = false

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.#inbox = new Inbox(parts.arrival.limits(), parts.backlog)
    this.#extended = new Extended(parts.dialogue, parts.admission, parts.statements)
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
      if (this.#busy) this.#parts.admission.cancel()
      if (this.#parts.dialogue.pipeline.size > 0) void backend.cancel(AbortSignal.timeout(lingerMs)).catch(() => {})
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
    const said = this.#parts.admission.holding ? 'NOT EXECUTED: it waited for an approval. Send it again, and it joins its hold if that is still open.' : 'What was under way may or may not have taken effect.'
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
    const { dialogue, admission, arrival } = this.#parts
    const { pipeline } = dialogue
    if (admission.holding || pipeline.copying || (pipeline.size === 0 && !this.#busy)) return this.fatal(arrival.ended.reason as Refusal)
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
    if (this.#inbox.farewell && this.#parts.admission.holding) this.#leave()
    else this.#pump()
  }

  /** The client sends nothing more: all that it has sent is served as the server would, but for what an approval would let run. */
  #lastCame(): void {
    if (!this.#inbox.farewell) this.#inbox.push({ type: frontend.terminate, bytes: terminateMessage })
    if (this.#parts.admission.holding) this.#leave()
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
        this.#parts.admission.begin()
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
    const { pipeline } = this.#parts.dialogue
    if (this.#copy !== undefined && pipeline.copying) return this.#copied(frame)
    this.#copy = undefined
    if (frame.type === frontend.terminate) return void this.#leave(frame.bytes)
    if (frame.type === frontend.copyData || frame.type === frontend.copyDone || frame.type === frontend.copyFail) return undefined // of a COPY that has failed
    if (pipeline.skipping && frame.type !== frontend.sync) return void this.#extended.drop()
    const message = decodeFrontend(frame)
    if (message.type === 'query') return this.#query(frame, message.sql)
    if (message.type === 'function-call') return void this.#functionCall(message.oid)
    const wait = this.#extended.handle(frame, message)
    return message.type === 'execute' ? this.#watchCopy(wait) : wait
  }

  #query(frame: Frame, sql: string): Promise<void> | undefined {
    const { statements } = this.#parts
    if (!this.#extended.release()) return undefined
    const reading = statements.read(sql)
    return reading instanceof Promise ? reading.then((found) => this.#asked(frame, sql, found)) : this.#asked(frame, sql, reading)
  }

  #asked(frame: Frame, sql: string, reading: Reading): Promise<void> | undefined {
    const { dialogue, statements } = this.#parts
    if (dialogue.pipeline.skipping) return undefined // an earlier message failed while this one was read
    const obstacle = statements.obstacle(sql, reading, dialogue.pipeline.open)
    if (obstacle === 'wait') return dialogue.settled().then(() => this.#asked(frame, sql, reading))
    if (obstacle !== undefined) return void this.#refuse(obstacle)
    const [first] = reading.statements
    if (first === undefined) return void dialogue.send({ kind: 'query' }, frame.bytes)
    if (hasFailed(dialogue.pipeline, first)) return void this.#refuse(aborted)
    return statements.fresh(reading.statements, async () => {
      let sent: Execution | undefined
      let limited = false
      let granted: { readonly watch: Watching | undefined } | undefined
      await this.#parts.admission.admit({
        what: statements.inspectedText(sql, reading.statements),
        check: (obligations, effect) => statements.check(reading.statements, obligations, effect),
        send: (execution, permit) => {
          if (permit.grant?.rows !== undefined) return void (granted = { watch: this.#extended.runText(sql, first, execution, permit) })
          const watch = statements.watch(reading.statements, execution, permit, { inBatch: false })
          const running = this.#running(reading, permit.action, execution)
          dialogue.send(watch === undefined ? running : { ...running, rows: watch }, frame.bytes)
          sent = execution
          limited = watch?.limited === true
        },
        refuse: (refusal) => this.#refuse(deniedText(refusal, reading)),
      })
      if (granted !== undefined) return await this.#extended.finishText(granted.watch)
      if (sent !== undefined && reading.statements.some(({ answers }) => answers === 'copy-in')) await this.#copyBegins(sent)
      // What follows is not sent into a cancelling.
      if (limited) await dialogue.settled()
    })
  }

  #running(reading: Reading, action: Action, execution: Execution): Expecting {
    const effects = this.#parts.statements.sent(reading.statements, action)
    const unnamed = this.#parts.statements.forgetUnnamed()
    let at = 0
    return {
      kind: 'query',
      execution,
      copyIn: reading.statements.some(({ answers }) => answers === 'copy-in'),
      done(tag) {
        execution.did(tag)
        effects.done(at++)
      },
      failed(error) {
        effects.failed()
        execution.failed(error)
      },
      ended() {
        unnamed()
        effects.failed()
        execution.finish()
      },
      lost: () => execution.lost(),
    }
  }

  #refuse(refusal: Refusal | Buffer): void {
    const { dialogue, statements } = this.#parts
    const answer = Buffer.isBuffer(refusal) ? refusal : statements.errorFor(refusal)
    if (answer === undefined) return
    const poison = makePoison(answer)
    dialogue.send({ kind: 'query', poison, ended: statements.forgetUnnamed() }, poisonedQuery(poison))
  }

  /** A call past all SQL. */
  #functionCall(oid: number): void {
    if (!this.#extended.release()) return
    const refusal = new Refusal('denied', 'Calls by the function-call message are refused: nobody can say what they do. Call the function in SQL.')
    this.#parts.statements.refused(`function call, oid ${oid}`, refusal)
    this.#refuse(refusal)
  }

  async #watchCopy(wait: Promise<void> | undefined): Promise<void> {
    const { pipeline } = this.#parts.dialogue
    if (wait !== undefined) await wait
    const sent = this.#extended.copyIn
    if (sent === undefined || pipeline.skipping) return
    this.#parts.dialogue.write()
    await this.#parts.dialogue.until(() => pipeline.copying || sent.over)
    if (pipeline.copying) this.#copy = { query: undefined }
  }

  async #copyBegins(execution: Execution): Promise<void> {
    const { dialogue } = this.#parts
    const before = dialogue.pipeline.copies
    dialogue.write()
    await dialogue.until(() => dialogue.pipeline.copies > before || execution.over)
    if (dialogue.pipeline.copying) this.#copy = { query: execution }
  }

  /** Data of a COPY. As the server does, Sync and Flush are not counted here. */
  #copied(frame: Frame): Promise<void> | undefined {
    const { dialogue } = this.#parts
    switch (frame.type) {
      case frontend.copyData:
        return void dialogue.sendUnanswered(frame.bytes)
      case frontend.copyDone:
      case frontend.copyFail: {
        decodeFrontend(frame)
        const query = this.#copy?.query
        this.#copy = undefined
        dialogue.sendUnanswered(frame.bytes)
        return query === undefined ? undefined : this.#copyBegins(query)
      }
      case frontend.sync:
      case frontend.flush:
        return undefined
      case frontend.terminate:
        return void this.#leave(frame.bytes)
      default:
        throw new Refusal('malformed', 'Only the data of a COPY may be sent until it is done.')
    }
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
