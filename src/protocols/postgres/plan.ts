import { Refusal } from '../../model/refusal.ts'
import { isBound } from './settings.ts'
import type { Control, Reading, StatementReading } from './sql/reading.ts'

/** `SET countersign.plan = '…'` asks for a transaction before it begins. */
export const planSetting = 'countersign.plan'

/** A transaction as somebody wants to run it: BEGIN, what it does, COMMIT. */
export interface Plan {
  readonly sql: string
  readonly steps: readonly StatementReading[]
}

/** What does not depend on what the session knows by a name, and does not end or divide the transaction. */
const taken: ReadonlySet<Control['does']> = new Set(['set', 'create-temporary', 'drop'])

const wrong = (why: string): Refusal => new Refusal('denied', `This is no plan: ${why}`, { instead: `Write it as BEGIN; statements; COMMIT, with every value in its place.` })

const control = (step: StatementReading | undefined, does: 'begin' | 'commit'): boolean => step?.control?.does === does && !('chain' in step.control && step.control.chain === true)

/** Throws a `Refusal` for what is no plan. */
export const readPlan = (sql: string, { statements: steps, problem }: Reading): Plan => {
  if (problem !== undefined) throw wrong(`it cannot be read: ${problem}.`)
  const inner = steps.slice(1, -1)
  if (!control(steps[0], 'begin') || !control(steps.at(-1), 'commit') || inner.length === 0) throw wrong('it does not begin with BEGIN, end with COMMIT and do something between.')
  const odd = inner.find((step) => step.control !== undefined && !taken.has(step.control.does))
  if (odd !== undefined) throw wrong(`${odd.control?.does ?? ''} cannot stand in it.`)
  if (inner.some(({ kinds }) => kinds.includes('session'))) throw wrong('a statement of it changes the session, or ends its transaction in another way.')
  const bound = inner.flatMap(({ control: said }) => (said?.does === 'set' && isBound(said.variable) ? [said.variable] : []))[0]
  if (bound !== undefined) throw wrong(`${bound} changes how values are read, and an approval is bound to that. Set it before the plan.`)
  if (inner.some(({ parameters }) => parameters > 0)) throw wrong('a parameter stands in it.')
  if (inner.some(({ answers }) => answers === 'copy-in')) throw wrong('the rows of a COPY FROM STDIN are not in it.')
  return Object.freeze({ sql, steps })
}

/** What a statement says of the session's plan: a text announces one, an empty one takes it back. */
export type Announcement = { readonly sql: string | undefined }

/** Throws where a plan is announced in a way that could be misunderstood. */
export const announcementIn = (statements: readonly StatementReading[]): Announcement | undefined => {
  const found = statements.find(({ control: said }) => said?.does === 'set' && said.variable === planSetting)?.control
  if (found?.does !== 'set') return undefined
  if (statements.length > 1 || found.local) throw new Refusal('denied', `A plan is announced by SET ${planSetting} alone, for the session.`)
  return { sql: found.value === undefined || found.value.trim() === '' ? undefined : found.value }
}

/** What takes settings back takes the plan back, too. */
export const forgetsPlan = (statements: readonly StatementReading[]): boolean => statements.some(({ control: said }) => said?.does === 'discard' || (said?.does === 'set' && said.variable === 'all'))
