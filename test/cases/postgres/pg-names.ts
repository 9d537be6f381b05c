import { severalState } from './pg-several.ts'

/* The cases' words for statements and tables, and ours. */

const classes: Readonly<Record<string, string>> = {
  select: 'read', explain: 'read', 'copy.out': 'read', set: 'read', transaction: 'read', listen: 'read',
  insert: 'write', update: 'write', delete: 'write', merge: 'write', truncate: 'write', 'copy.in': 'write',
  lock: 'lock', call: 'call', do: 'opaque', session: 'session', ddl: 'ddl', grant: 'ddl',
  server: 'forbidden', 'copy.program': 'forbidden', unknown: 'unknown',
}

/** The class of the cases to which a verb of ours belongs. */
export const classOf = (verb: string): string => classes[verb.replace(/^sql\./, '')] ?? verb

/** SQLSTATEs that are ours by design where the cases list another one: each is a refusal, and what the server saw is compared as it stands. */
export const tolerated = (listed: readonly unknown[]): readonly string[] => [
  // Bytes that are no UTF-8, and messages beyond their bound, are read by nobody to their end: the connection closes.
  ...(listed.includes('22021') || listed.includes('54000') ? ['08P01'] : []),
  // Another encoding is a feature that there is not.
  ...(listed.includes('22023') ? ['0A000'] : []),
]

/** Already so in the fixture or the profile. */
const there: ReadonlySet<unknown> = new Set([
  undefined,
  'view public.v selects from secrets.keys',
  'schema evil holds a table users and a function lower(text) with side effects',
  'the mask sentinel of the profile is ******',
  'throw-away database with an event trigger and row triggers that record every write; servers 14 to 18',
])

/** Made by `pg-grants.ts`. Here the rows are a bound over all uses. */
export const grantState = 'grant: shape UPDATE t SET a = ? WHERE id IN (...), at most 5 executions, 10 rows each, 1 hour, only req-a'

/** Why a case cannot begin with this. */
export const unmade = (state: unknown): string | undefined =>
  there.has(state) || state === grantState || state === severalState ? undefined : `nothing makes this state yet: ${String(state)}`

/** A table as records and views name it. */
export const tableOf = (name: string): string => name
