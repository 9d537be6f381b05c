import { Refusal } from '../../model/refusal.ts'

/** What a client may say of itself and its session before it is logged in. */
export interface StartupWish {
  readonly user: string
  /** `undefined`: it names none. */
  readonly database: string | undefined
  /** What passes to the server: ways of writing values, and how long things may take, in shapes that say nothing else. */
  readonly parameters: ReadonlyMap<string, string>
}

const duration = /^[0-9]{1,9}(?:ms|s|min|h|d)?$/

const passing: ReadonlyMap<string, { readonly name: string; readonly shape: RegExp }> = new Map([
  ['datestyle', { name: 'DateStyle', shape: /^[A-Za-z]{2,12}(?:, ?[A-Za-z]{2,12})?$/ }],
  ['timezone', { name: 'TimeZone', shape: /^[A-Za-z0-9_+\-/:<>,.]{1,64}$/ }],
  ['intervalstyle', { name: 'IntervalStyle', shape: /^(?:postgres|postgres_verbose|sql_standard|iso_8601)$/ }],
  ['extra_float_digits', { name: 'extra_float_digits', shape: /^-?[0-9]{1,2}$/ }],
  ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'].map((name) => [name, { name, shape: duration }] as const),
])

/** Names of encodings are compared as the server does: letters and digits. `SQL_ASCII` asks for no conversion, and gets none: all is UTF-8. */
const encodings: ReadonlySet<string> = new Set(['utf8', 'unicode', 'sqlascii'])

const instead = 'Leave it out and set it with SQL after the login.'

/** Everything that is not on the list is refused: `options` and settings such as `search_path` would change what later statements mean, before anybody could judge it. */
export const readWish = (given: ReadonlyMap<string, string>): StartupWish => {
  let user: string | undefined
  let database: string | undefined
  const parameters = new Map<string, string>()
  const seen = new Set<string>()
  for (const [written, value] of given) {
    const name = written.toLowerCase()
    if (seen.has(name)) throw new Refusal('malformed', `The start-up parameter "${written.slice(0, 64)}" stands there twice.`)
    seen.add(name)
    if (name === 'user') user = value
    else if (name === 'database') database = value
    else if (name === 'client_encoding') checkEncoding(value)
    else if (name === 'replication') checkReplication(value)
    else if (name !== 'application_name') pass(parameters, written, name, value)
  }
  if (user === undefined || user === '') throw new Refusal('no-identity', 'The start-up packet names no user.')
  return { user, database: database === '' ? undefined : database, parameters }
}

const pass = (parameters: Map<string, string>, written: string, name: string, value: string): void => {
  const known = passing.get(name)
  if (known === undefined) throw new Refusal('unsupported-media', `The start-up parameter "${written.slice(0, 64)}" is not accepted here.`, name === 'options' ? { instead: 'Leave "options" (PGOPTIONS) out and use SET after the login.' } : { instead })
  if (!known.shape.test(value)) throw new Refusal('unsupported-media', `The start-up parameter "${known.name}" has a value that is not accepted here.`, { instead })
  parameters.set(known.name, value)
}

const checkEncoding = (value: string): void => {
  if (!encodings.has(value.toLowerCase().replace(/[^a-z0-9]/g, ''))) throw new Refusal('unsupported-media', 'Only UTF8 is spoken here.', { instead: 'Set client_encoding (PGCLIENTENCODING) to UTF8.' })
}

const checkReplication = (value: string): void => {
  if (!/^(?:false|off|no|0)$/i.test(value)) throw new Refusal('unsupported-media', 'Replication does not go through here: it carries the whole database past every rule.')
}
