import { Pool } from 'pg'
import type { AuditSearch } from '../../../audit/search/audit-search.ts'
import { makeFeed, type Feed } from './feed.ts'
import { caseOf, findRecord, search, stateOf } from './finder.ts'
import { prove } from './proving.ts'
import { findNodes, findTraces } from './trace-rows.ts'

export interface PostgresIndexOptions {
  readonly url: string
  readonly ca?: string
  /** Letters, digits and underscores: it becomes part of statements. */
  readonly schema: string
  readonly directory: string
  readonly replica: string
}

export interface PostgresIndex extends AuditSearch, Feed, AsyncDisposable {}

/** Read from the URL it would take the place of the authority. */
const withoutMode = (url: string): string => {
  const made = new URL(url)
  made.searchParams.delete('sslmode')
  return made.href
}

const connectWithinMs = 5_000
const statementMs = 10_000
const answerWithinMs = 15_000

/** The index of a fleet: each replica feeds its own log, each answers from all of them. */
export const openPostgresIndex = ({ url, ca, schema, directory, replica }: PostgresIndexOptions): PostgresIndex => {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) throw new Error('the schema of the audit index is small letters, digits and underscores')
  const pool = new Pool({ connectionString: ca === undefined ? url : withoutMode(url), ...(ca === undefined ? {} : { ssl: { ca } }), max: 3, connectionTimeoutMillis: connectWithinMs, idleTimeoutMillis: 60_000, statement_timeout: statementMs, lock_timeout: statementMs, idle_in_transaction_session_timeout: statementMs, query_timeout: answerWithinMs, application_name: 'countersign-audit' })
  pool.on('error', () => {}) // an idle connection broke; whoever asks next gets another, or is told
  const feed = makeFeed({ pool, schema, directory, replica })
  return {
    advance: feed.advance,
    search: (question, page) => search(pool, schema, question, page),
    record: (id) => findRecord(pool, schema, id),
    caseOf: (name) => caseOf(pool, schema, name),
    prove: (id) => prove(pool, schema, id),
    traces: (question, limit) => (question.nodes?.length === 0 ? Promise.resolve({ traces: [], counted: 'all' }) : findTraces(pool, schema, question, limit)),
    nodes: (name, limit) => findNodes(pool, schema, name, limit),
    state: () => stateOf(pool, schema),
    [Symbol.asyncDispose]: () => pool.end(),
  }
}
