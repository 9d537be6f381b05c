import { parseDuration } from '../../lib/duration.ts'
import { Refusal } from '../../model/refusal.ts'
import { isSearchField, type SearchField } from './fields.ts'
import { wordsOf } from './words.ts'

/** What somebody wants to know of the log. All that is said must hold. */
export interface AuditQuestion {
  /** `alice`: these words in this order in one value; `=alice`: the whole value; `ali*`: words that begin so. A case is always asked for by a whole name. */
  readonly fields: Readonly<Partial<Record<SearchField, string>>>
  /** Words that stand anywhere in the record; in quotes one after the other; `inv*` for a beginning. */
  readonly text?: string
  /** By the clock of the replica that wrote it: from this moment on. */
  readonly from?: number
  /** Before this moment. */
  readonly to?: number
}

/** These words, one after the other, in one value of the field, or of any. */
export interface Term {
  readonly field?: SearchField
  readonly words: readonly string[]
  readonly how: 'words' | 'beginning' | 'whole'
}

const mostTerms = 24
const longestValue = 300

const termOf = (field: SearchField | undefined, given: string): Term => {
  if (given.length > longestValue) throw new Refusal('malformed', `What is searched for is at most ${longestValue} characters long.`)
  const whole = field !== undefined && given.startsWith('=')
  const beginning = !whole && given.endsWith('*')
  const words = wordsOf(given)
  if (words.length === 0) throw new Refusal('malformed', `There is no word in what is searched for${field === undefined ? '' : ` as "${field}"`}: a word has letters or digits.`)
  return { words, how: whole ? 'whole' : beginning ? 'beginning' : 'words', ...(field === undefined ? {} : { field }) }
}

/** Of a value that stands in a field of its own, whichever. */
export const valueTerm = (given: string): Pick<Term, 'words' | 'how'> => termOf('who', given)

/** Throws a refusal for what cannot be looked for. */
export const termsOf = ({ fields, text }: AuditQuestion): readonly Term[] => {
  const terms: Term[] = []
  for (const [name, value] of Object.entries(fields)) {
    if (!isSearchField(name)) throw new Refusal('malformed', `Nothing is found by "${name}".`)
    terms.push(termOf(name, value))
  }
  // What has no word in it (a dash between two words) does not stand in the way of the rest.
  const items = [...(text ?? '').matchAll(/"([^"]*)"?|[^\s"]+/g)].map(([item, quoted]) => quoted ?? item)
  for (const item of items) if (wordsOf(item).length > 0) terms.push(termOf(undefined, item))
  if (items.length > 0 && terms.every(({ field }) => field !== undefined)) throw new Refusal('malformed', 'There is no word in what is searched for: a word has letters or digits.')
  if (terms.length > mostTerms) throw new Refusal('malformed', `At most ${mostTerms} things are searched for at once.`)
  return terms
}

/** `2026-11-21`, `2026-11-21T18:04Z` (UTC where no zone is said), or how long ago: `7d`. */
export const parseMoment = (text: string, now: number): number | undefined => {
  const ago = parseDuration(text)
  if (ago !== undefined) return now - ago
  const [whole, clock, zone] = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/.exec(text) ?? []
  const at = whole === undefined ? Number.NaN : Date.parse(clock === undefined || zone !== undefined ? text : `${text}Z`)
  return Number.isNaN(at) ? undefined : at
}

/** The question in one line, for the record of who asked it. */
export const questionText = ({ fields, text, from, to }: AuditQuestion): string => {
  const said = Object.entries(fields).map(([name, value]) => `${name}=${value}`)
  if (text !== undefined) said.push(`text=${text}`)
  if (from !== undefined) said.push(`from=${new Date(from).toISOString()}`)
  if (to !== undefined) said.push(`to=${new Date(to).toISOString()}`)
  return said.length === 0 ? 'everything' : said.join(' ')
}
