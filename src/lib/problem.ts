/** One mistake in a file that people write, at the place where they wrote it. */
export interface Problem {
  readonly file: string
  /** From 1, like the column. */
  readonly line: number
  readonly column: number
  /** The members on the way, `services.orders-api.routes[0].path`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
  /** The known name that was probably meant. */
  readonly nearest?: string
  /** The line as it stands there, or as much of it as can hold no secret. */
  readonly excerpt?: string
}

/** `a.b[0]["c d"]`. */
export const pathText = (path: readonly PropertyKey[]): string =>
  path.map((key, index) => (typeof key === 'number' ? `[${key}]` : /^[A-Za-z0-9_-]+$/.test(String(key)) ? `${index === 0 ? '' : '.'}${String(key)}` : `[${JSON.stringify(String(key))}]`)).join('')

const LONGEST_EXCERPT = 120

/** Without what could move a cursor or hide text on a terminal. */
const visible = (text: string): string => text.replace(/\p{C}/gu, ' ')

/** `file:line:col path: message`, then the line with a caret under the place. */
export const formatProblem = ({ file, line, column, path, message, nearest, excerpt }: Problem): string => {
  const head = visible(`${file}:${line}:${column} ${path === '' ? '' : `${path}: `}${message}${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`)
  if (excerpt === undefined || excerpt.trim() === '') return head
  const from = Math.max(0, Math.min(column - 1 - LONGEST_EXCERPT / 2, excerpt.length - LONGEST_EXCERPT))
  const shown = visible(excerpt.slice(from, from + LONGEST_EXCERPT))
  const caret = Math.min(column - 1 - from, shown.length)
  return `${head}\n  | ${shown}\n  | ${' '.repeat(Math.max(0, caret))}^`
}
