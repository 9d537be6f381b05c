import type { DiskMarks } from '../audit/disk-marks.ts'
import type { RequiredReach } from '../audit/strictness.ts'
import { defined } from '../lib/defined.ts'
import type { AuditIndexOptions } from '../stores/options.ts'
import { missing, type Checks } from './checks.ts'
import { makePostgresUrl } from './database-url.ts'
import { BadNote, noteVerifier, type NoteVerifier } from '../audit/signed-note.ts'
import type { WitnessOptions } from '../sinks/witness.ts'
import { ms } from './issuers.ts'
import { outboundProblem } from './outbound.ts'
import type { ConfigSource } from './schema.ts'

/** A database of the fleet; absent: the file beside the journal. */
export const makeAuditIndex = ({ audit: { index } }: ConfigSource, checks: Checks): AuditIndexOptions | undefined => {
  if (index === undefined) return undefined
  const { url, 'url-file': file, 'ca-file': authority, schema } = index.postgres
  const path = ['audit', 'index', 'postgres'] as const
  const made = makePostgresUrl([...path, 'url'], url, file, checks)
  const ca = checks.file([...path, 'ca-file'], authority)?.text
  const at = made === missing ? undefined : new URL(made.reveal())
  if (at !== undefined && ca === undefined && !/^(?:127\.0\.0\.1|localhost|\[::1\])$/.test(at.hostname) && at.searchParams.get('sslmode') !== 'verify-full') checks.warn([...path, 'url'], 'leads over the network without a check of who answers; "?sslmode=verify-full" or "ca-file" makes one')
  return { url: made, schema, ...defined({ ca }) }
}

const marks = ['warn', 'alert', 'deny-changes', 'deny-all'] as const

/** A mark that lies before the one that it follows is never seen. */
export const makeDiskMarks = ({ journal }: ConfigSource, { report }: Checks): DiskMarks => {
  const source = journal['disk-marks']
  for (const [at, mark] of marks.entries()) {
    const before = marks[at - 1]
    if (before !== undefined && source[mark] < source[before]) report(['journal', 'disk-marks', mark], `is less than "${before}"`)
  }
  return { warn: source.warn, alert: source.alert, denyChanges: source['deny-changes'], denyAll: source['deny-all'] }
}

const weights = ['read', 'write', 'held'] as const

/** What would be waited for must be there, or every action of that kind would be refused. */
export const makeRequired = ({ audit: { required, witnesses: watching }, sinks }: ConfigSource, { report, warn, known }: Checks): RequiredReach => {
  const { read, write, held, sinks: names, within } = required
  for (const [at, name] of names.entries()) known(['audit', 'required', 'sinks', at], name, Object.keys(sinks), 'sink')
  for (const weight of weights) if (required[weight] === 'local+sink' && Object.keys(sinks).length === 0) report(['audit', 'required', weight], 'waits for a sink, and there is none')
  const counted = weights.some((weight) => required[weight] === 'local+sink') ? Object.entries(sinks).filter(([name]) => names.length === 0 || names.includes(name)) : []
  for (const [name, { kind }] of counted) if (kind === 'syslog') warn(['audit', 'required'], `waits for the sink "${name}", and syslog cannot say that it has a record: name sinks that can`)
  const there = Object.keys(watching).length
  for (const weight of weights) if (required[weight] === 'local+witness' && there < required.witnesses) report(['audit', 'required', weight], there === 0 ? 'waits for a witness, and there is none' : `waits for ${required.witnesses} witnesses, and there are ${there}`)
  return { read, write, held, sinks: names, witnesses: required.witnesses, withinMs: ms(within) }
}

export const makeWitnesses = ({ audit }: ConfigSource, checks: Checks): readonly WitnessOptions[] =>
  Object.entries(audit.witnesses).flatMap(([name, { url, key, 'ca-file': authority, every, timeout }]) => {
    const path = ['audit', 'witnesses', name]
    const problem = outboundProblem(url, checks.outbound)
    if (problem !== undefined) checks.report([...path, 'url'], problem, { hide: true })
    const verifier = verifierOf(key)
    if (verifier?.witness === undefined) checks.report([...path, 'key'], 'is no key of a witness; `countersign witness key` prints it first')
    return verifier === undefined ? [] : [{ name, url, key: verifier, ...defined({ ca: checks.file([...path, 'ca-file'], authority)?.text }), everyMs: ms(every), timeoutMs: ms(timeout) }]
  })

const verifierOf = (text: string): NoteVerifier | undefined => {
  try {
    return noteVerifier(text)
  } catch (error) {
    if (error instanceof BadNote) return undefined
    throw error
  }
}
