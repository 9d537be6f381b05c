import { hash } from 'node:crypto'

const longest = 400
/** Longer statements are alike only if they are the same. */
const longestRead = 4 * longest

/** Where a quote need not begin or end a text: comments, backslashes, dollar quotes. Without a parser nobody can say what is a value there. */
const unclear = /--|\/\*|\\|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/
/** Names in quotes stay. */
const parts = /("(?:[^"]|"")*")|'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b/g

const withoutValues = (sql: string): string => (sql.length > longestRead || unclear.test(sql) ? sql : sql.replaceAll(parts, (_part, name: string | undefined) => name ?? '?').replaceAll(/\s+/g, ' '))

/** The text without its values. Groups, and proves nothing; but what is said to be like something else must not hide behind it. */
export const shapeOf = (service: string, verbs: readonly string[], sql: string): string => {
  const text = `${service} ${verbs.join('+')} ${withoutValues(sql)}`.toWellFormed()
  return text.length <= longest ? text : `${text.slice(0, longest - 24).toWellFormed()} #${hash('sha256', text, 'base64url').slice(0, 22)}`
}
