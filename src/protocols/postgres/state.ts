import { type Change, type Meant, Namespace, type Portal, type Prepared } from './namespace.ts'
import type { Pipeline } from './pipeline.ts'
import type { StatementReading } from './sql/reading.ts'

const mostNames = 10_000
/** What an entry takes beside its text or its values. */
const entryBytes = 512

/** What a transaction has done so far: nothing is open, it has only begun or read, or others may wait for what it wrote. */
export type TransactionState = 'none' | 'clean' | 'written'

/** Whether the server would not run it because the transaction has failed. */
export const hasFailed = ({ size, status }: Pipeline, { control }: StatementReading): boolean =>
  size === 0 && status === 'failed' && control?.does !== 'commit' && control?.does !== 'rollback' && control?.does !== 'rollback-to'

/** What the client and the server have agreed on in this session. */
export class SessionState {
  readonly statements = new Namespace<Prepared>(mostNames, ({ sql }) => sql.length + entryBytes)
  readonly portals = new Namespace<Portal>(mostNames, ({ bound }) => (bound?.bytes.length ?? 0) + entryBytes, ({ begun }) => begun?.execution.left())
  /** The batch in which something was last sent that writes. */
  #lastWrite = -1
  #written = false

  /** The batch in which something was last sent that may change settings. */
  #lastSetting = -1

  /** What the server has reported of settings may be old: it reports when a batch ends. */
  settingsMayMove(batch: number): void {
    this.#lastSetting = batch
  }

  knowsSettings(pipeline: Pipeline): boolean {
    return this.#lastSetting < pipeline.answered
  }

  wrote(batch: number): void {
    this.#written = true
    this.#lastWrite = batch
  }

  transaction(pipeline: Pipeline): TransactionState {
    if (this.#written) return 'written'
    return pipeline.status === 'idle' && pipeline.size === 0 && !pipeline.open ? 'none' : 'clean'
  }

  /** The server's side is over, and its portals with it. */
  end(): void {
    this.portals.set(undefined, undefined)
  }

  /** The server has ended a batch. */
  ready(pipeline: Pipeline): void {
    if (pipeline.status !== 'idle') return
    this.portals.keep((portal) => portal.held)
    if (this.#lastWrite < pipeline.answered) this.#written = false
  }

  /** What these statements do to names, once the server has run them: one list for each statement. */
  changes(statements: readonly StatementReading[], batch: number, meant: (body: StatementReading) => Meant): readonly (readonly Change[])[] {
    const prepared = (body: StatementReading): Prepared => ({ sql: body.text, reading: body, types: [], then: meant(body) })
    return statements.map((statement) => this.#changes(statement, batch, prepared))
  }

  /** Whether there is no room for the name that it makes. */
  lacksRoom({ control }: StatementReading): boolean {
    return (control?.does === 'prepare' && this.statements.full) || (control?.does === 'declare' && this.portals.full)
  }

  #changes({ control }: StatementReading, batch: number, prepared: (body: StatementReading) => Prepared): readonly Change[] {
    const { statements, portals } = this
    switch (control?.does) {
      case 'prepare':
        return [statements.change(control.name, prepared(control.body), batch, statements.find(control.name, batch) !== undefined)]
      case 'deallocate':
        return [statements.change(control.name, undefined, batch)]
      case 'declare':
        return [portals.change(control.name, { statement: prepared(control.body), bound: undefined, cursor: true, held: control.hold }, batch, portals.find(control.name, batch) !== undefined)]
      case 'close':
        return [portals.change(control.name, undefined, batch)]
      case 'discard':
        return [statements.change(undefined, undefined, batch), portals.change(undefined, undefined, batch)]
      default:
        return []
    }
  }
}
