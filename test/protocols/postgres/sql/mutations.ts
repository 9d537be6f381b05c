import type { Parser, Token } from '../../../../src/protocols/postgres/sql/parser.ts'

/** A number below the bound: the only source of chance, so that a seed repeats a run. */
export type Chance = (bound: number) => number

/** mulberry32. */
export const chanceFrom = (seed: number): Chance => {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) % bound
  }
}

const pick = <T>(chance: Chance, all: readonly T[]): T => {
  const one = all[chance(all.length)]
  if (one === undefined) throw new Error('nothing to pick from')
  return one
}

/** Ways to say the same in other words: between tokens, in keywords, in names, in literals. */
const gaps = [' ', '\n', '\t', ' /* x */ ', ' /* /* ; */ DELETE */ ', ' -- ; DROP TABLE t\n', '\r\n', '\f']

const isWord = (token: Token): boolean => /^[a-z_]+$/i.test(token.text)

const recased = (chance: Chance, word: string): string => [...word].map((letter) => (chance(2) === 0 ? letter.toUpperCase() : letter.toLowerCase())).join('')

const respelled = (chance: Chance, token: Token): string => {
  if (/^'[^'\\]{2,}'$/.test(token.text) && chance(3) === 0) return `${token.text.slice(0, 2)}'\n'${token.text.slice(2)}`
  if (!isWord(token)) return token.text
  if (token.tokenName !== 'IDENT') return recased(chance, token.text)
  const name = token.text.toLowerCase()
  return pick(chance, [() => recased(chance, name), () => `"${name}"`, () => `U&"${[...name].map((letter) => `\\00${letter.charCodeAt(0).toString(16)}`).join('')}"`, () => name])()
}

/** The same tokens, written otherwise. Comments of the original are lost. */
export const reworded = (sql: string, parser: Parser, chance: Chance): string => {
  const tokens = parser.tokens(sql).filter(({ tokenName }) => tokenName !== 'SQL_COMMENT' && tokenName !== 'C_COMMENT')
  return tokens.map((token, index) => {
    const next = tokens[index + 1]
    // What touches stays together: operators, dots, casts and literals with their prefixes.
    const gap = next === undefined ? '' : next.start === token.end && !(isWord(token) && next.text === '(') ? '' : pick(chance, gaps)
    return respelled(chance, token) + gap
  }).join('')
}

/** Other statements around a statement. What is inside still runs, wherever the server accepts it at all. */
const wraps: readonly ((sql: string, other: string) => string)[] = [
  (sql) => `WITH q AS (${sql}) SELECT * FROM q`,
  (sql) => `WITH q AS (${sql}), r AS (SELECT 1) SELECT * FROM r`,
  (sql) => `EXPLAIN ANALYZE ${sql}`,
  (sql) => `EXPLAIN (COSTS off, ANALYZE) ${sql}`,
  (sql) => `SELECT * FROM (${sql}) q`,
  (sql) => `SELECT (${sql})`,
  (sql) => `SELECT EXISTS (${sql})`,
  (sql) => `SELECT 1 WHERE (${sql}) IS NOT NULL`,
  (sql) => `SELECT ARRAY(${sql})`,
  (sql) => `COPY (${sql}) TO STDOUT`,
  (sql) => `DECLARE qqq CURSOR FOR ${sql}`,
  (sql) => `(${sql}) UNION ALL SELECT NULL`,
  (sql, other) => `${sql}; ${other}`,
  (sql, other) => `${other};${sql}`,
]

export const wrapped = (sql: string, other: string, chance: Chance): string => pick(chance, wraps)(`${sql.replace(/;\s*$/, '')}\n`, `${other}\n`)
