import type { Ask } from './catalog/ask.ts'
import { estimate, type Numbers } from './catalog/estimate.ts'
import type { SessionNames } from './catalog/session-names.ts'
import { CatalogLine } from './catalog-line.ts'
import type { PostgresServiceOptions } from './options.ts'
import { isBound } from './settings.ts'
import type { StatementReading } from './sql/reading.ts'

export interface EstimateQuestion {
  readonly role: string
  readonly names: SessionNames
  /** What the session reads values by. */
  readonly settings: Readonly<Record<string, string>>
  readonly parameters: readonly (string | null | undefined)[]
  readonly types: readonly number[]
}

/** For each of the two questions of an estimate. */
const budgetMs = 500
const countUpTo = 100_000
/** Who comes when so many wait goes without. */
const mostWaiting = 20

interface Line {
  readonly line: CatalogLine
  waiting: number
  last: Promise<unknown>
}

/** Numbers for approvers, asked on connections of our own: one for each role, one question at a time. */
export class Estimates implements AsyncDisposable {
  readonly #service: PostgresServiceOptions
  readonly #lines = new Map<string, Line>()

  constructor(service: PostgresServiceOptions) {
    this.#service = service
  }

  /** For each of the statements what is known. */
  async of(statements: readonly StatementReading[], { role, ...question }: EstimateQuestion): Promise<readonly Numbers[]> {
    const line = this.#line(role)
    if (line === undefined || line.waiting >= mostWaiting) return statements.map(() => ({ notes: ['No estimate: too many were asked for at one moment.'] }))
    line.waiting++
    const answer = line.last.then(() => eachOf(statements, { ...question, ask: line.line.ask }))
    line.last = answer.catch(() => {}).finally(() => line.waiting--)
    return await answer
  }

  #line(user: string): Line | undefined {
    const known = this.#lines.get(user)
    if (known !== undefined) return known
    const role = [this.#service.credential, ...this.#service.roles.values()].find((one) => one.user === user)
    if (role === undefined) return undefined
    const made: Line = { line: new CatalogLine(this.#service, role), waiting: 0, last: Promise.resolve() }
    this.#lines.set(user, made)
    return made
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#lines.values()].map(({ line }) => line[Symbol.asyncDispose]()))
  }
}

/** Each by itself, those that change something first. */
const eachOf = async (statements: readonly StatementReading[], question: Omit<EstimateQuestion, 'role'> & { readonly ask: Ask }): Promise<readonly Numbers[]> => {
  if (statements.some(movesValues)) return statements.map(() => ({ notes: ['No estimate: the text changes settings.'] }))
  const about = statements.filter(({ control }) => control === undefined)
  const [reading, changing] = [about.filter(readsOnly), about.filter((statement) => !readsOnly(statement))]
  const asked = new Set([...changing, ...reading].slice(0, mostStatements))
  const found: Numbers[] = []
  for (const statement of statements) found.push(asked.has(statement) ? await estimate(statement, { ...question, budgetMs, countUpTo }) : { notes: statement.control === undefined ? [`No estimate for more than ${mostStatements} statements.`] : [] })
  return found
}

const readsOnly = ({ kinds }: StatementReading): boolean => kinds.every((kind) => kind === 'select' || kind === 'explain')

/** Behind it values are read in another way, or others see other rows. */
const movesValues = ({ kinds, control }: StatementReading): boolean => control?.does === 'set' && (kinds.includes('session') || isBound(control.variable))

const mostStatements = 20
