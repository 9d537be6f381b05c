import { changesOf } from './changes.ts'
import { changeHandlers } from './handlers/change.ts'
import { bodyHandlers, definitionHandlers } from './handlers/definition.ts'
import { expressionHandlers } from './handlers/expression.ts'
import { queryHandlers } from './handlers/query.ts'
import { sessionHandlers } from './handlers/session.ts'
import { ParserFailure, SyntaxProblem, type Parser, type RawStatement, type Token } from './parser.ts'
import type { Reading, StatementReading } from './reading.ts'
import { defined } from '../../../lib/defined.ts'
import { usesOf } from './uses.ts'
import { handlerTable, opened, Unclassified, Walk, type Place } from './walk.ts'

const handlers = handlerTable(expressionHandlers, queryHandlers, changeHandlers, sessionHandlers, definitionHandlers, bodyHandlers)

/** A text of more statements is not read: nobody could judge them. */
export const statementBound = 1000

/** A text that names more things is not read: looking each of them up keeps everybody waiting. */
export const nameBound = 10_000

const namesIn = ({ relations, functions, types, operators, columns }: StatementReading): number => relations.length + functions.length + types.length + operators.length + columns.length

const top: Place = { scope: undefined, relations: 'read', quiet: false, top: true }

const nothingKnown = (text: string, why: string): StatementReading =>
  Object.freeze({ kinds: ['unknown' as const], text, relations: [], functions: [], types: [], operators: [], columns: [], answers: 'nothing' as const, parameters: 0, opaque: why })

/** The parser quotes what it cannot read: the whole rest of a text, if that is one word. */
const longestProblem = 200

/** A text that nobody may run: it is one unknown statement. */
export const unread = (text: string, why: string): Reading => {
  const problem = why.length > longestProblem ? `${why.slice(0, longestProblem).toWellFormed()}…` : why
  return Object.freeze({ statements: [nothingKnown(text, problem)], problem })
}

/** White space of the server. */
const blanks = ' \t\n\r\f\v'

/** No regular expression: that takes time with the square of a run of blanks. */
const trimmed = (text: string): string => {
  let [start, end] = [0, text.length]
  while (start < end && blanks.includes(text.charAt(start))) start++
  while (end > start && blanks.includes(text.charAt(end - 1))) end--
  return text.slice(start, end)
}

/** The part of a text that is one statement. The parser counts bytes. */
const cut = (text: string, bytes: Buffer | undefined, statement: RawStatement): string => {
  const start = statement.stmt_location ?? 0
  const end = statement.stmt_len === undefined ? undefined : start + statement.stmt_len
  return trimmed(bytes === undefined ? text.slice(start, end) : bytes.subarray(start, end).toString())
}

/** The relation of `UPDATE pg_settings`: its rule is `set_config`. */
const settingsView = 'pg_settings'

const readStatement = (text: string, raw: RawStatement, parser: Parser): StatementReading => {
  let tokens: readonly Token[] | undefined
  const walk = new Walk(handlers, { text, tokens: () => (tokens ??= parser.tokens(text)) })
  try {
    const [name] = opened(raw.stmt)
    if (!handlers.has(name)) throw new Unclassified(`the statement ${name} is not known`)
    walk.node(raw.stmt, top)
    const { found } = walk
    if (raw.stmt !== undefined) found.changes = changesOf(raw.stmt, text, parser)
    const reading = Object.freeze({ ...found.reading(text), ...usesOf(raw.stmt) })
    if (reading.relations.some((relation) => relation.name === settingsView && relation.access === 'write' && relation.defined === undefined)) {
      return Object.freeze({ ...reading, kinds: ['session' as const, ...reading.kinds], forbidden: 'a change of pg_settings changes how every later statement is read' })
    }
    return reading
  } catch (error) {
    if (error instanceof Unclassified || error instanceof RangeError || error instanceof ParserFailure || error instanceof SyntaxProblem) return nothingKnown(text, error instanceof RangeError ? 'it is nested too deeply' : error.message)
    throw error
  }
}

/** An odd run of backslashes before a quote, in a literal that knows no escapes: not `E''`, `$$`, a name or a comment. */
const isAmbiguous = (token: Token): boolean => !/^(?:[eE]'|\$|"|[uU]&"|--|\/\*)/.test(token.text) && /(?<!\\)(?:\\\\)*\\'/.test(token.text)

const hasAmbiguousBackslash = (text: string, parser: Parser): boolean => text.includes('\\') && text.includes("'") && parser.tokens(text).some((token) => token.text.includes("'") && isAmbiguous(token))

/** Reads a text, however long it takes. */
export const readWith = (parser: Parser, text: string): Reading => {
  if (text.includes('\0')) return unread(text, 'there is a NUL in it')
  // The parser would be given something else than the server.
  if (!text.isWellFormed()) return unread(text, 'it is no well-formed Unicode')
  if (trimmed(text) === '') return empty
  try {
    const raw = parser.statements(text)
    if (raw.length > statementBound) return unread(text, `it holds more than ${statementBound} statements`)
    const bytes = Buffer.byteLength(text) === text.length ? undefined : Buffer.from(text)
    const statements = raw.map((statement) => readStatement(cut(text, bytes, statement), statement, parser))
    if (statements.reduce((sum, statement) => sum + namesIn(statement), 0) > nameBound) return unread(text, `it names more than ${nameBound} tables, columns and functions`)
    return Object.freeze({ statements, ...defined({ backslash: hasAmbiguousBackslash(text, parser) ? (true as const) : undefined }) })
  } catch (error) {
    if (error instanceof SyntaxProblem || error instanceof ParserFailure) return unread(text, error.message)
    throw error
  }
}

const empty: Reading = Object.freeze({ statements: [] })
