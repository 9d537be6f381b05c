import type { Ask } from './catalog/ask.ts'
import { estimate, type Numbers } from './catalog/estimate.ts'
import type { SessionNames } from './catalog/session-names.ts'
import { CatalogLine } from './catalog-line.ts'
import type { PostgresServiceOptions } from './options.ts'
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

  async of(statements: readonly StatementReading[], { role, ...question }: EstimateQuestion): Promise<Numbers> {
    const line = this.#line(role)
    if (line === undefined || line.waiting >= mostWaiting) return { notes: ['No estimate: too many were asked for at one moment.'] }
    line.waiting++
    const answer = line.last.then(() => allOf(statements, { ...question, ask: line.line.ask }))
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

/** Of several statements the sums, where there is a number for each that has any. */
const allOf = async (statements: readonly StatementReading[], question: Omit<EstimateQuestion, 'role'> & { readonly ask: Ask }): Promise<Numbers> => {
  if (statements.some(({ control }) => control?.does === 'set')) return { notes: ['No estimate: the text changes settings.'] }
  const about = statements.filter(({ control }) => control === undefined)
  const found: Numbers[] = []
  for (const statement of about.slice(0, mostStatements)) found.push(await estimate(statement, { ...question, budgetMs, countUpTo }))
  const sum = (kind: 'estimatedRows' | 'exactRows'): number | undefined => {
    const numbers = found.flatMap((one) => one[kind] ?? [])
    return numbers.length > 0 && numbers.length === about.length ? numbers.reduce((a, b) => a + b, 0) : undefined
  }
  const [estimatedRows, exactRows] = [sum('estimatedRows'), sum('exactRows')]
  return { ...(estimatedRows === undefined ? {} : { estimatedRows }), ...(exactRows === undefined ? {} : { exactRows }), notes: [...new Set(found.flatMap(({ notes }) => notes))] }
}

const mostStatements = 10
