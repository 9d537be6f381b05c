import type { ColumnPlace } from './catalog.ts'

/** What the stored definition of a view says: `pg_rewrite.ev_action`, the tree that the server keeps of its query. */
export interface ViewTree {
  /** By column number: the plain column behind it; computed columns are not in it. The server follows sub-selects and WITH, not views. */
  readonly origins: ReadonlyMap<number, ColumnPlace>
  /** Every relation and every function that the query names, at any depth. */
  readonly relations: ReadonlySet<number>
  readonly functions: ReadonlySet<number>
  /** It uses whole rows, so all columns of what it reads. */
  readonly wholeRows: boolean
}

/*
 * ({QUERY … :targetList ({TARGETENTRY :expr {…} :resno 1 :resname id :ressortgroupref 0 :resorigtbl 16385 :resorigcol 1 :resjunk false} …) …})
 * Brackets and blanks inside names stand behind a backslash, so brackets count depth.
 */
const ENTRY = /:resno (\d+) .*:resorigtbl (\d+) :resorigcol (\d+) :resjunk (true|false)/s
const TARGETS = ':targetList ('
const FUNCTIONS = /:(?:funcid|opfuncid|aggfnoid|winfnoid|hashfuncid|negfuncid) ([1-9]\d*)/g
const RELATIONS = /:relid ([1-9]\d*)/g

/** The functions that an expression of the server's calls. */
export const functionsIn = (tree: string): ReadonlySet<number> => numbers(tree, FUNCTIONS)

const numbers = (text: string, pattern: RegExp): ReadonlySet<number> => new Set([...text.matchAll(pattern)].map((match) => Number(match[1])))

/** `undefined` where the text is not what we know. */
export const readViewTree = (text: string): ViewTree | undefined => {
  const entries = outerEntries(text)
  if (entries === undefined) return undefined
  const origins = new Map<number, ColumnPlace>()
  for (const entry of entries) {
    const [, number, table, column, junk] = ENTRY.exec(entry) ?? []
    if (number === undefined) return undefined
    if (junk === 'false' && table !== '0' && column !== '0') origins.set(Number(number), { oid: Number(table), number: Number(column) })
  }
  return { origins, relations: numbers(text, RELATIONS), functions: functionsIn(text), wholeRows: /:varattno 0\b/.test(text) }
}

/** The entries of the outermost target list, each without what is nested in it. */
const outerEntries = (text: string): readonly string[] | undefined => {
  if (!text.startsWith('({QUERY ')) return undefined
  let depth = 0
  let inList = false
  let entry = ''
  const entries: string[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string
    const own = inList && depth === 4
    if (char === '\\') {
      if (own) entry += text.slice(at, at + 2)
      at++
    } else if (depth === 2 && !inList && text.startsWith(TARGETS, at)) {
      inList = true
      depth++
      at += TARGETS.length - 1
    } else if (char === '{' || char === '(') {
      depth++
    } else if (char === '}' || char === ')') {
      if (own) {
        entries.push(entry)
        entry = ''
      }
      depth--
      if (inList && depth === 2) return entries
    } else if (own) entry += char
  }
  return undefined
}
