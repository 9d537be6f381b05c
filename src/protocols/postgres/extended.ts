import type { Permit } from '../../model/permit.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Admission, Request } from './admission.ts'
import { aborted, deniedText, type ServerCode, serverError } from './answer.ts'
import { readParameterDescription } from './codec/backend.ts'
import type { Frame } from './codec/frame.ts'
import { type Bind, type FrontendMessage, frontend } from './codec/frontend.ts'
import { cstring, message } from './codec/writing.ts'
import type { CopyIn } from './copy-in.ts'
import type { Dialogue } from './dialogue.ts'
import type { Execution } from './execution.ts'
import type { Begun, Bound, Portal, Prepared } from './namespace.ts'
import { Parked } from './parked.ts'
import { makePoison, poisonedExecute } from './poison.ts'
import type { Expecting } from './replies.ts'
import { runningExecute } from './running.ts'
import type { Reading, StatementReading } from './sql/reading.ts'
import { hasFailed } from './state.ts'
import type { Statements } from './statements.ts'
import type { Watching } from './watching.ts'

type Of<Type extends FrontendMessage['type']> = Extract<FrontendMessage, { readonly type: Type }>
type Named = Extract<FrontendMessage, { readonly what: string }>

export interface ExtendedParts {
  readonly dialogue: Dialogue
  readonly admission: Admission
  readonly statements: Statements
  readonly copyIn: CopyIn
}

const flushMessage = message(frontend.flush)

/**
 * Parse, Bind, Describe, Close, Execute. Nothing of a statement that needs an approval reaches the server before its Execute is approved, so
 * that a client who waits keeps no lock; all else goes at once.
 */
export class Extended {
  readonly #dialogue: Dialogue
  readonly #admission: Admission
  readonly #statements: Statements
  readonly #copyIn: CopyIn
  readonly #parked: Parked

  constructor({ dialogue, admission, statements, copyIn }: ExtendedParts) {
    this.#dialogue = dialogue
    this.#admission = admission
    this.#statements = statements
    this.#copyIn = copyIn
    this.#parked = new Parked(dialogue)
  }

  handle(frame: Frame, what: FrontendMessage): Promise<void> | undefined {
    switch (what.type) {
      case 'parse':
        return this.#parse(frame, what)
      case 'bind':
        return this.#bind(frame, what)
      case 'describe':
        return this.#describe(frame, what)
      case 'close':
        return this.#close(frame, what)
      case 'execute':
        return this.#execute(frame, what)
      case 'flush':
        if (this.release()) this.#dialogue.sendUnanswered(flushMessage)
        return undefined
      case 'sync':
        this.release()
        this.#dialogue.send({ kind: 'sync' }, frame.bytes)
        return undefined
      default:
        throw new Error('not a message of the extended protocol')
    }
  }

  /** Sends what waits: it runs nothing. False: it was refused instead. */
  release(): boolean {
    if (this.#parked.plans) {
      this.#refuse(new Refusal('denied', 'This statement needs an approval and calls functions that nobody knows. Send its Execute in the same batch as its Bind.'))
      return false
    }
    this.#parked.send()
    return true
  }

  /** The server skips the batch. */
  drop(): void {
    this.#parked.drop()
  }

  #parse(frame: Frame, what: Of<'parse'>): Promise<void> | undefined {
    const reading = this.#statements.read(what.sql)
    if (reading instanceof Promise) return reading.then((found) => this.#parsed(frame, what, found))
    return this.#parsed(frame, what, reading)
  }

  #parsed(frame: Frame, { name, sql, parameterTypes }: Of<'parse'>, found: Reading): Promise<void> | undefined {
    const { state } = this.#statements
    const { pipeline } = this.#dialogue
    if (pipeline.skipping) return void this.drop() // an earlier message failed while this one was read
    if (state.statements.full) return void this.#refuseWith('53400', 'too many prepared statements in this session')
    const obstacle = this.#statements.obstacle(sql, found, pipeline.open || this.#parked.size > 0)
    if (obstacle === 'wait') return this.#dialogue.settled().then(() => this.#parsed(frame, { type: 'parse', name, sql, parameterTypes }, found))
    if (obstacle !== undefined) return void this.#refuse(obstacle)
    const [first, ...others] = found.statements
    const reading = others.length > 0 ? undefined : (first ?? 'empty')
    const taken = name !== '' && state.statements.find(name, pipeline.batch) !== undefined
    if (reading === undefined || reading === 'empty') return void this.#prepare(frame, name, taken, { sql, reading, types: parameterTypes, then: undefined }, 'allow')
    return this.#statements.freshness.whenKnown([reading], (): Promise<void> | undefined => {
      const then = this.#statements.meant(reading)
      const prepared: Prepared = { sql, reading, types: parameterTypes, then }
      const verdict = this.#statements.verdict(prepared)
      if (verdict === 'deny' && reading.parameters === 0 && !taken) return this.#deny(prepared, reading, found)
      const hindrance = this.#statements.hindrance(prepared)
      if (hindrance !== undefined && !taken) return this.#deny(prepared, reading, found, hindrance)
      this.#prepare(frame, name, taken, prepared, verdict)
      return undefined
    })
  }

  #prepare(frame: Frame, name: string, taken: boolean, prepared: Prepared, verdict: string): void {
    const change = this.#statements.state.statements.change(name, prepared, this.#dialogue.pipeline.batch, taken)
    const { reading } = prepared
    const isStep = this.#admission.prepares(prepared)
    // Constants become values of their types as soon as they are parsed, and a domain may run anything then.
    const runs = verdict !== 'allow' && reading !== undefined && reading !== 'empty' && reading.types.length > 0 && this.#statements.judge.piece(reading).facts['pure'] !== true
    this.#forward({ kind: 'parse', done: change.happened, failed: change.dropped, lost: change.dropped }, frame.bytes, isStep || verdict !== 'allow', runs)
  }

  /** Whatever values would be bound: the answer is no. */
  #deny(prepared: Prepared, reading: StatementReading, found: Reading, hindrance?: Refusal): Promise<void> {
    return this.#admission.admit({
      what: this.#statements.inspected(prepared, reading, undefined),
      check: () => {},
      send: () => {
        throw hindrance ?? new Refusal('denied', 'The policy has just changed. Send the statement again.')
      },
      refuse: (refusal) => this.#refuse(deniedText(refusal, found)),
    })
  }

  #bind(frame: Frame, what: Bind): Promise<void> | undefined {
    const { state } = this.#statements
    const { pipeline } = this.#dialogue
    const statement = state.statements.find(what.statement, pipeline.batch)
    if (statement === 'unsure') return this.#once(() => this.#bind(frame, what))
    if (statement === undefined) return void this.#refuseWith('26000', `prepared statement "${what.statement}" does not exist`)
    if (statement.reading === undefined) return void this.#refuseWith('42601', 'a prepared statement is one statement')
    if (state.portals.full) return void this.#refuseWith('53400', 'too many portals in this session')
    const taken = what.portal !== '' && state.portals.find(what.portal, pipeline.batch) !== undefined
    const portal: Portal = { statement, bound: boundOf(frame, what), cursor: false, held: false }
    const change = state.portals.change(what.portal, portal, pipeline.batch, taken)
    const waits = this.#parked.size > 0 || this.#statements.verdict(statement) !== 'allow'
    const plans = waits && statement.reading !== 'empty' && this.#statements.judge.piece(statement.reading).facts['pure'] !== true
    this.#forward({ kind: 'bind', done: change.happened, failed: change.dropped, lost: change.dropped }, frame.bytes, waits || this.#admission.inPlan, plans)
    return undefined
  }

  #describe(frame: Frame, what: Named): undefined {
    const { state } = this.#statements
    const { batch } = this.#dialogue.pipeline
    const statement = what.what === 'statement' ? state.statements.find(what.name, batch) : undefined
    const known = statement === undefined || statement === 'unsure' ? undefined : statement
    const learn = (types: Buffer): void => {
      if (known !== undefined) known.found = readParameterDescription({ type: types[0] as number, bytes: types })
    }
    this.#forward({ kind: 'describe', parameterTypes: learn }, frame.bytes)
  }

  #close(frame: Frame, what: Named): undefined {
    const { state } = this.#statements
    const { batch } = this.#dialogue.pipeline
    const change = what.what === 'statement' ? state.statements.change(what.name, undefined, batch) : state.portals.change(what.name, undefined, batch)
    this.#forward({ kind: 'close', done: change.happened, failed: change.dropped, lost: change.dropped }, frame.bytes)
  }

  #execute(frame: Frame, what: Of<'execute'>): Promise<void> | undefined {
    const { pipeline } = this.#dialogue
    const portal = this.#statements.state.portals.find(what.portal, pipeline.batch)
    if (portal === 'unsure') return this.#once(() => this.#execute(frame, what))
    if (portal === undefined) return void this.#refuseWith('34000', `portal "${what.portal}" does not exist`)
    const { reading } = portal.statement
    if (reading === undefined) return void this.#refuseWith('42601', 'a prepared statement is one statement')
    if (reading === 'empty') return void this.#sendExecute({ kind: 'execute' }, frame.bytes)
    if (portal.begun !== undefined) return this.#continue(frame, what.maxRows, portal, portal.begun)
    if (hasFailed(pipeline, reading)) return void this.#refuse(aborted)
    return this.#statements.freshness.whenKnown([reading], () => {
      const stale = this.#statements.staleness(portal.statement)
      if (stale !== undefined) return void this.#refuse(stale)
      const sent = this.#admission.admit(this.#request(frame, what, portal, reading)).then(() => this.#afterwards(portal))
      return reading.answers === 'copy-in' ? sent.then(() => this.#copyIn.ofExecute(portal.begun?.execution)) : sent
    })
  }

  #request(frame: Frame, what: Of<'execute'>, portal: Portal, reading: StatementReading): Request {
    const { statement, bound } = portal
    return {
      what: this.#statements.inspected(statement, reading, bound),
      prepared: statement,
      check: (obligations, effect) => this.#statements.check([reading], obligations, effect, bound),
      send: (execution, permit) => this.#run(frame, what, portal, reading, execution, permit),
      refuse: (refusal) => this.#refuse(refusal),
    }
  }

  #run(frame: Frame, { portal: name, maxRows }: Of<'execute'>, portal: Portal, reading: StatementReading, execution: Execution, permit: Permit): void {
    const watch = this.#statements.watch([reading], execution, permit, { bound: portal.bound, cursor: portal.cursor ? portal : undefined, inBatch: true })
    portal.begun = { execution, permit, watch }
    this.#parked.send()
    if (watch?.masks === true) this.#describeFor(watch, name)
    const effects = this.#statements.sent([reading], permit.action)
    this.#dialogue.send({ ...runningExecute(execution, maxRows, effects, notRun(portal)), copyIn: reading.answers === 'copy-in', ...(watch === undefined ? {} : { rows: watch }) }, frame.bytes)
  }

  /** The same permission, as long as it would be given again. */
  #continue({ bytes }: Frame, maxRows: number, portal: Portal, { execution, permit, watch }: Begun): Promise<void> | undefined {
    const objection = this.#admission.objection(permit)
    if (objection !== undefined) {
      this.#statements.refused(portal.statement.sql, objection)
      return void this.#refuse(objection)
    }
    const sent = runningExecute(execution, maxRows, noEffects, notRun(portal))
    this.#sendExecute(watch === undefined ? sent : { ...sent, rows: watch }, bytes)
    return watch?.limited === true ? this.#afterwards(portal) : undefined
  }

  /** Where rows are limited, nothing follows before it is known that they were not too many. */
  async #afterwards({ begun }: Portal): Promise<void> {
    const watch = begun?.watch
    if (watch?.limited !== true) return
    await this.#dialogue.settled()
    if (watch.exceeded && !this.#dialogue.pipeline.skipping) this.#refuse(watch.limitError)
  }

  /** Before rows are masked it must be known which columns they have. */
  #describeFor(watch: Watching, portal: string): void {
    this.#dialogue.send({ kind: 'describe', quiet: 'answers', described: (frame) => void (watch.description = frame) }, message(frontend.describe, 'P', cstring(portal)))
  }

  #sendExecute(sent: Expecting, bytes: Buffer): void {
    this.#parked.send()
    this.#dialogue.send(sent, bytes)
  }

  /** Behind something that waits everything waits. `plans`: planning it may run what nobody has judged. */
  #forward(sent: Expecting, bytes: Buffer, waits = false, plans = false): void {
    if (!waits && this.#parked.size === 0) return this.#dialogue.send(sent, bytes)
    this.#parked.add(sent, bytes, plans)
    if (this.#parked.full) this.release()
  }

  /** Once the server has answered everything; not at all if it skips the batch. */
  async #once(then: () => Promise<void> | undefined): Promise<void> {
    if (!this.release()) return
    await this.#dialogue.settled()
    if (!this.#dialogue.pipeline.skipping) await then()
  }

  #refuseWith(code: ServerCode, text: string): void {
    this.#refuse(serverError(code, text))
  }

  /** In the place of all that waits, too: the server would skip what follows. */
  #refuse(refusal: Refusal | Buffer): void {
    this.drop()
    const answer = Buffer.isBuffer(refusal) ? refusal : this.#statements.errorFor(refusal)
    if (answer === undefined) return
    const poison = makePoison(answer)
    this.#dialogue.send({ kind: 'execute', poison }, poisonedExecute(poison))
  }
}

const boundOf = ({ bytes }: Frame, { portal, statement, parameterFormats, parameters, resultFormats }: Bind): Bound => ({
  formats: parameterFormats,
  values: parameters,
  resultFormats,
  bytes: bytes.subarray(5 + Buffer.byteLength(portal) + 1 + Buffer.byteLength(statement) + 1),
})

/** The server has not run it, or will not go on with it: what comes next for this portal is asked anew. */
const notRun = (portal: Portal) => (): void => void (portal.begun = undefined)

const noEffects = { done: (): void => {}, failed: (): void => {} }
