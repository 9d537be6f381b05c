import type { Digest } from '../../masking/mask.ts'
import type { Obligations } from '../../model/decision.ts'
import type { Permit } from '../../model/permit.ts'
import { Refusal } from '../../model/refusal.ts'
import type { SessionNames } from './catalog/session-names.ts'
import { backend, readCommandComplete, rowsOf } from './codec/backend.ts'
import type { Dialogue } from './dialogue.ts'
import type { Execution } from './execution.ts'
import type { Bound, Portal } from './namespace.ts'
import { grantError, limitError } from './rows/diagnostics.ts'
import { exposureOf } from './rows/exposure.ts'
import { columnMasks, type TagsOf } from './rows/column-masks.ts'
import { isMasking, PASS, planRows, type RowPlan, type Watch } from './rows/plan.ts'
import { CountingWriter, CursorAllowance, type RowWriter } from './rows/writer.ts'
import { storesMask } from './rows/write-back.ts'
import type { RowWatch } from './replies.ts'
import type { StatementReading } from './sql/reading.ts'
import { TimeLimit } from './time-limit.ts'

export interface WatchingParts {
  readonly names: SessionNames
  readonly digest: Digest
  readonly tagsOf: () => TagsOf
  /** Of all rules of the service, whoever asks. */
  readonly masksOf: () => Obligations['masks']
  /** Of the rules that this caller can meet, whatever for. */
  readonly callerMasks: () => Obligations['masks']
  readonly dialogue: Dialogue
}

interface Planned {
  readonly bound?: Bound | undefined
  /** The cursor that is read. */
  readonly cursor?: Portal | undefined
  /** Something of it changes data. */
  readonly writes: boolean
}

export interface Circumstances extends Omit<Planned, 'writes'> {
  /** It keeps what was written before. */
  readonly keeps?: boolean
  /** Its end is not the end of what was sent: only an error of the server's own ends that. */
  readonly inBatch: boolean
}

const nothing = Buffer.alloc(0)

/** Rows of one portal or Query that are looked at. */
export class Watching implements RowWatch {
  /** The columns, where the client has not asked for them in time itself. */
  description: Buffer | undefined
  readonly limited: boolean
  readonly masks: boolean
  /** The limit was passed: the client has yet to be told. */
  exceeded = false
  readonly #watch: Watch
  readonly #parts: WatchingParts
  readonly #execution: Execution
  #error: Buffer
  readonly #inBatch: boolean
  /** Rows that it may change by a grant. */
  readonly #changes: number | undefined

  constructor(watch: Watch, parts: WatchingParts, execution: Execution, { rows, changes, writes, inBatch }: { readonly rows: number | undefined; readonly changes: number | undefined; readonly writes: boolean; readonly inBatch: boolean }) {
    this.#watch = watch
    this.#parts = parts
    this.#execution = execution
    this.limited = rows !== undefined || changes !== undefined
    this.#changes = changes
    this.masks = watch.masks
    this.#inBatch = inBatch
    this.#error = limitError(rows ?? 0, writes)
  }

  begin(description: Buffer | undefined): RowWriter {
    return this.#watch.begin(description ?? this.description)
  }

  over(): void {
    if (this.exceeded) return
    this.exceeded = true
    this.#parts.dialogue.stop()
  }

  get limitError(): Buffer {
    return this.#error
  }

  end(writer: RowWriter | undefined, last: Buffer): Buffer {
    if (writer !== undefined) this.#execution.maskedValues += writer.masked
    if (this.#changes !== undefined && last[0] !== backend.error) this.#count(this.#changes, last)
    if (!this.exceeded) return last
    // In a batch only an error of the server's own ends it: it is brought about as soon as this is answered.
    return this.#inBatch && last[0] !== backend.error ? nothing : this.#error
  }

  #count(most: number, last: Buffer): void {
    // A portal that is read in parts has changed everything with the first, and says how much with the last.
    const rows = last[0] === backend.commandComplete ? rowsOf(readCommandComplete({ type: backend.commandComplete, bytes: last })) : undefined
    if (rows !== undefined && rows <= most) return
    this.exceeded = true
    this.#error = grantError(most, rows === undefined)
    this.#execution.end({ result: 'failed', status: '53400', cause: `it changed ${rows ?? 'nobody knew how many'} rows and was rolled back: a grant let ${most} be changed` })
  }
}

/** Rows that nobody masks or limits. */
const passing: Watch = { does: 'watch', guarded: false, masks: false, begin: () => new CountingWriter({ left: Infinity }) }

/** What is to be done with the rows. Throws a `Refusal` where what is asked of them cannot be done, or where a mask would be stored: then nothing may be sent. */
export const planFor = ({ names, digest, tagsOf, masksOf }: WatchingParts, statements: readonly StatementReading[], obligations: Obligations, { bound, cursor, writes }: Planned): Exclude<RowPlan, { readonly does: 'refuse' }> => {
  const { rows } = obligations.limits
  const all = masksOf()
  if (rows === undefined && !isMasking(obligations.masks) && !isMasking(all)) return PASS
  const tags = tagsOf()
  const isStored = (statement: StatementReading): boolean => storesMask({ statement, names, masks: columnMasks(names.catalog, all, tags), values: bound?.values ?? [] })
  if (isMasking(all) && statements.some(isStored)) throw new Refusal('denied', 'A text in this statement is a mask and no value: it would replace what it hides.', { instead: 'Leave that column out.' })
  // The server may be done with what follows before it hears that it is to stop.
  if (rows !== undefined && writes && statements.length > 1) throw new Refusal('denied', 'The policy limits the rows of these statements, and some of them change something, so each has to come alone.', { instead: 'Send one statement at a time.' })
  const plan = planRows({ obligations, statements, names, tagsOf: tags, digest, allowance: rows === undefined ? undefined : allowanceOf(cursor, rows) })
  if (plan.does === 'refuse') throw new Refusal('denied', plan.because, { instead: plan.instead })
  return plan
}

/** Its rule masks nothing, and another one masks for the same caller what it may read: an error would quote that. */
const reachesMasked = ({ names, tagsOf, callerMasks }: WatchingParts, statements: readonly StatementReading[]): boolean => {
  const masks = callerMasks()
  if (!isMasking(masks)) return false
  const exposure = exposureOf(statements, names, columnMasks(names.catalog, masks, tagsOf()))
  return exposure.does === 'refuse' || exposure.touched
}

/** A cursor is one result, however many FETCHes read it. */
const allowanceOf = (cursor: Portal | undefined, rows: number): CursorAllowance | undefined => {
  if (cursor === undefined) return undefined
  cursor.allowance ??= new CursorAllowance(rows)
  cursor.allowance.most = rows
  return cursor.allowance
}

/** What the decision asks of what is about to be sent. Throws as `planFor` does. */
export const watchRows = (parts: WatchingParts, statements: readonly StatementReading[], execution: Execution, { decision, action, grant }: Permit, { bound, cursor, keeps, inBatch }: Circumstances): Watching | undefined => {
  const { obligations } = decision
  const writes = action.effect === 'write' || keeps === true
  const plan = planFor(parts, statements, obligations, { bound, cursor, writes })
  const { ms } = obligations.limits
  // A COPY FROM STDIN gives the client no rows, and its end cannot be waited for before the client has sent some.
  const rows = statements.some(({ answers }) => answers === 'copy-in') ? undefined : obligations.limits.rows
  if (ms !== undefined) execution.limit = new TimeLimit(parts.dialogue, execution, ms)
  const { replies } = parts.dialogue
  if (!replies.guarded && ((plan.does === 'watch' && plan.guarded) || reachesMasked(parts, statements))) replies.guardTexts()
  const changes = grant?.rows
  // Only where the change has not ended by then can it be taken back.
  if (changes !== undefined && !inBatch) throw new Error('a change by a grant was sent as one that nobody can take back')
  if (plan.does === 'pass' && changes === undefined) return undefined
  return new Watching(plan.does === 'pass' ? passing : plan, parts, execution, { rows, changes, writes, inBatch })
}
