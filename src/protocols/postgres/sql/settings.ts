import type { SqlKind } from './reading.ts'

/** Settings that change how the answer looks or how long a statement may take, and nothing else. */
const harmless: ReadonlySet<string> = new Set([
  'datestyle', 'timezone', 'intervalstyle', 'application_name', 'statement_timeout', 'lock_timeout', 'extra_float_digits', 'client_min_messages', 'bytea_output', 'jit',
  'idle_in_transaction_session_timeout',
  'countersign.plan',
  'transaction_isolation', 'default_transaction_isolation', 'transaction_deferrable', 'default_transaction_deferrable',
])

/** Settings that change how every later text is read or what it sets off. */
const hard: ReadonlySet<string> = new Set(['client_encoding', 'standard_conforming_strings', 'backslash_quote', 'session_replication_role'])

export const isHardSetting = (name: string): boolean => hard.has(name.toLowerCase())

const readOnly: ReadonlySet<string> = new Set(['transaction_read_only', 'default_transaction_read_only'])

const isOn = (value: string | undefined): boolean => value !== undefined && ['on', 'true', 'yes', '1'].includes(value.toLowerCase())

/** As the server compares names of encodings: letters and digits only. */
const isUtf8 = (value: string): boolean => ['utf8', 'unicode'].includes(value.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))

/** What setting a variable means. No value: back to its default. Names are compared as the server does, without regard to case. */
export const settingKind = (variable: string, value: string | undefined): { readonly kind: SqlKind; readonly forbidden?: string } => {
  const name = variable.toLowerCase()
  if (name === 'client_encoding' && value !== undefined && isUtf8(value)) return { kind: 'set' }
  if (name === 'standard_conforming_strings' && isOn(value)) return { kind: 'set' }
  if (hard.has(name)) return { kind: 'session', forbidden: `${name} changes how every later statement is read` }
  if (readOnly.has(name)) return { kind: isOn(value) ? 'set' : 'session' }
  return { kind: harmless.has(name) ? 'set' : 'session' }
}
