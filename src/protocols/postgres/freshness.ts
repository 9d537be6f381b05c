import type { SessionNames } from './catalog/session-names.ts'
import { AskFailed, type Dialogue, type Rows } from './dialogue.ts'
import { endsTransaction, type Judge, movesNames } from './judge.ts'
import { longTurn } from './sql/long-turn.ts'
import type { StatementReading } from './sql/reading.ts'
import type { SessionState } from './state.ts'

export interface FreshnessParts {
  readonly dialogue: Dialogue
  readonly state: SessionState
  readonly judge: Judge
  readonly names: SessionNames
  /** Relations or functions may have changed, for everybody. */
  readonly definitionsChanged: () => Promise<void>
}

const askMs = 5_000

/** Whether it is known what names mean in this session, which moves them by what it sends; and what is asked where it is not. */
export class Freshness {
  readonly #parts: FreshnessParts
  #epoch = 0
  #catalog: unknown
  /** Something in this transaction may have changed what names mean; its end may change it back. */
  #moved = false
  /** It has defined something: others see that when it ends. */
  #defined = false
  /** What it has defined is being learnt. */
  #learning: Promise<void> | undefined

  constructor(parts: FreshnessParts) {
    this.#parts = parts
  }

  /** Another one whenever names may mean something else than before. */
  get epoch(): number {
    return this.#epoch
  }

  /** The open transaction may have moved what names stand for. */
  get moved(): boolean {
    return this.#moved
  }

  /** Goes on once it is known what names mean. At once, where nothing has happened to them. */
  whenKnown(statements: readonly StatementReading[], then: () => Promise<void> | undefined): Promise<void> | undefined {
    const { dialogue, names } = this.#parts
    if (dialogue.pipeline.size > 0 && statements.some((statement) => this.#isUnsure(statement))) return dialogue.settled().then(() => (dialogue.pipeline.skipping ? undefined : this.whenKnown(statements, then)))
    if (!names.current) return this.renew().then(() => this.#learn(statements)).then(() => longTurn(lengthOf(statements))).then(() => this.#known(then))
    const learning = this.#learn(statements)
    return learning === undefined ? this.#known(then) : learning.then(() => longTurn(lengthOf(statements))).then(() => this.#known(then))
  }

  #known(then: () => Promise<void> | undefined): Promise<void> | undefined {
    if (this.#parts.dialogue.pipeline.skipping) return undefined
    if (this.#parts.names.catalog !== this.#catalog) this.#forget()
    return then()
  }

  /** What an open transaction has made it may use at once. */
  #learn(statements: readonly StatementReading[]): Promise<void> | undefined {
    const { dialogue, names } = this.#parts
    if (!this.#defined || dialogue.pipeline.status !== 'open') return undefined
    const ask = async (sql: string): Promise<Rows> => {
      await dialogue.settled()
      if (!dialogue.mayAsk) throw new AskFailed('nothing can be asked at the moment')
      return await dialogue.ask(sql, askMs)
    }
    return names.learn(ask, statements.flatMap(({ relations }) => relations))?.catch((error: unknown) => { if (!(error instanceof AskFailed)) throw error })
  }

  /** It calls something by a name that an answer on its way decides about. */
  #isUnsure({ control }: StatementReading): boolean {
    const { dialogue, state } = this.#parts
    const { batch } = dialogue.pipeline
    if (control?.does === 'execute') return state.statements.find(control.name, batch) === 'unsure'
    return control?.does === 'fetch' && state.portals.find(control.name ?? '', batch) === 'unsure'
  }

  /** Asks the server anew. */
  async renew(): Promise<void> {
    const { dialogue, names } = this.#parts
    await dialogue.settled()
    await this.#learning
    this.#learning = undefined
    // Without an answer no unqualified name is known, and what has one is the gravest.
    if (dialogue.mayAsk) await names.refresh((sql) => dialogue.ask(sql, askMs)).catch((error: unknown) => { if (!(error instanceof AskFailed)) throw error })
    this.#forget()
  }

  #forget(): void {
    this.#catalog = this.#parts.names.catalog
    this.#epoch++
    this.#parts.judge.forget()
  }

  /** It is on its way to the server. */
  sent(verbs: readonly string[], statements: readonly StatementReading[]): void {
    const moves = movesNames(verbs, statements)
    if (moves) this.#moved = true
    if (moves || (this.#moved && statements.some(endsTransaction))) this.#parts.names.doubt()
    if (verbs.includes('sql.ddl')) this.#defined = true
  }

  /** The server has ended a batch. */
  ready(): void {
    const { dialogue: { pipeline }, names, definitionsChanged } = this.#parts
    if (pipeline.status !== 'idle' || pipeline.size > 0 || !this.#moved) return
    this.#moved = false
    names.doubt()
    if (!this.#defined) return
    this.#defined = false
    this.#learning = definitionsChanged().catch(() => {})
  }
}

const lengthOf = (statements: readonly StatementReading[]): number => statements.reduce((sum, { text }) => sum + text.length, 0)
