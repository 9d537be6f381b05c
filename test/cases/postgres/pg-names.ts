/* The cases' words for statements and tables, and ours. */

const classes: Readonly<Record<string, string>> = {
  select: 'read', explain: 'read', 'copy.out': 'read', set: 'read', transaction: 'read', listen: 'read',
  insert: 'write', update: 'write', delete: 'write', merge: 'write', truncate: 'write', 'copy.in': 'write',
  lock: 'lock', call: 'call', do: 'opaque', session: 'session', ddl: 'ddl', grant: 'ddl',
  server: 'forbidden', 'copy.program': 'forbidden', unknown: 'unknown',
}

/** The class of the cases to which a verb of ours belongs. */
export const classOf = (verb: string): string => classes[verb.replace(/^sql\./, '')] ?? verb

/** A table as records and views name it. */
export const tableOf = (name: string): string => name
