import type { Protocol } from '../model/service.ts'

/** Every verb that an action can carry, so that a rule with a mistyped one does not load. */
const HTTP_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'PROPPATCH', 'MKCOL', 'COPY', 'MOVE', 'LOCK', 'UNLOCK', 'REPORT', 'SEARCH', 'PURGE', 'LINK', 'UNLINK'] as const

const SQL_KINDS = [
  'select', 'insert', 'update', 'delete', 'merge', 'truncate', 'ddl', 'grant', 'copy.in', 'copy.out', 'copy.program', 'call', 'do', 'set', 'session', 'transaction', 'explain', 'listen', 'lock', 'server', 'unknown',
] as const

const MCP_METHODS = [
  'initialize', 'ping', 'tools/list', 'tools/call', 'resources/list', 'resources/templates/list', 'resources/read', 'resources/subscribe', 'resources/unsubscribe',
  'prompts/list', 'prompts/get', 'completion/complete', 'logging/setLevel', 'sampling/createMessage', 'elicitation/create', 'roots/list', 'tasks/get', 'tasks/list', 'tasks/cancel', 'tasks/result', 'unknown',
] as const

export const knownMethods: readonly string[] = HTTP_METHODS

export const knownVerbs: readonly string[] = [...HTTP_METHODS.map((name) => `http.${name}`), 'http.websocket', ...SQL_KINDS.map((name) => `sql.${name}`), ...MCP_METHODS.map((name) => `mcp.${name}`)]

/** The first segment of a protocol's verbs. */
export const verbFamily: Record<Protocol, string> = { http: 'http', mcp: 'mcp', postgres: 'sql', mysql: 'sql' }

/** What cannot be understood, what reaches the machine under a database, and what opens a connection that nobody looks into afterwards: allowed only by a rule that names it. */
export const mustBeNamed = (verb: string): boolean => NAMED.has(verb) || verb.endsWith('.unknown')

const NAMED: ReadonlySet<string> = new Set(['http.websocket', 'sql.server', 'sql.copy.program'])

/** What touches no data: allowed where no rule says otherwise. */
export const needsNoRule = (verbs: readonly string[]): boolean => verbs.length > 0 && verbs.every((verb) => verb === 'sql.transaction' || verb === 'sql.set')
