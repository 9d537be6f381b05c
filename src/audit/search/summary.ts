import { defined } from '../../lib/defined.ts'
import { part, parts, text, type RecordData } from '../record-data.ts'

/** One action in a few words, out of all that is recorded of it. Texts are as they stand in the log: strangers' words. */
export interface ActionSummary {
  readonly who?: string
  readonly for?: string
  readonly verb?: string
  readonly service?: string
  /** What it changes, or reads where it changes nothing. */
  readonly on: readonly string[]
  readonly rules: readonly string[]
  readonly approvers: readonly { readonly name: string; readonly verdict: string }[]
  /** How it stands, as far as it is recorded. */
  readonly outcome?: string
  readonly hold?: string
  readonly code?: string
}

const nameOf = (value: unknown): string | undefined => {
  const { name, email, subject } = part(value)
  return text(name) ?? text(email) ?? text(subject)
}

export const targetsOf = (action: RecordData): readonly string[] => {
  const named = parts(action['resources']).filter(({ kind }) => kind !== 'column' && kind !== 'function')
  const written = named.filter(({ access }) => access === 'write')
  return [...new Set((written.length > 0 ? written : named).flatMap(({ name }) => text(name) ?? []))]
}

const ends: Readonly<Record<string, string>> = { 'held': 'waiting', 'attached': 'waiting', 'released': 'released', 'started': 'started', 'hold-expired': 'expired', 'hold-withdrawn': 'taken back', 'outcome-unknown': 'unknown' }

const outcomeOf = (record: RecordData): string | undefined => {
  const type = String(record['type'])
  if (type === 'finished') return text(part(record['outcome'])['result'])
  if (type === 'refused') return text(record['code'])
  if (type === 'decided') return text(part(record['decision'])['verdict'])
  if (type === 'voted') return text(record['state'])
  if (type === 'audit-exported') return text(record['end']) ?? 'begun'
  return ends[type] ?? text(record['refusal'])
}

/** `record`: the one that was found. `all`: those of the same action, in their order. */
export const summaryOf = (record: RecordData, all: readonly RecordData[]): ActionSummary => {
  const asked = part([record, ...all].find((one) => one['caller'] !== undefined))
  const done = part([record, ...all].find((one) => one['action'] !== undefined)?.['action'])
  const decision = [record, ...all].find((one) => one['decision'] !== undefined)?.['decision']
  const terms = [record, ...all].find((one) => one['terms'] !== undefined)?.['terms']
  const judged = parts(part(decision)['matched'])
  const rules = (judged.length > 0 ? judged : parts(part(terms)['requirements'])).map(({ policy, rule }) => `${String(policy)}/${String(rule)}`)
  const votes = [...all.filter(({ type }) => type === 'voted' || type === 'broke-glass').map(({ vote }) => part(vote)), ...parts(record['votes'])]
  const approvers = new Map(votes.flatMap(({ by, verdict }) => [[nameOf(by) ?? '', { name: nameOf(by) ?? '', verdict: String(verdict) }] as const]))
  const outcome = all.map(outcomeOf).findLast((one) => one !== undefined) ?? outcomeOf(record)
  const hold = [record, ...all].map((one) => text(one['hold'])).find((one) => one !== undefined)
  const code = [record, ...all].map((one) => text(one['code'])).find((one) => one?.startsWith('CS-'))
  return {
    on: targetsOf(done), rules: [...new Set(rules)], approvers: [...approvers.values()],
    ...defined({ who: nameOf(asked['caller']) ?? nameOf(record['by']), for: nameOf(parts(part(asked['caller'])['onBehalfOf'])[0]), verb: text(done['verb']), service: text(done['service']) ?? text(record['service']), outcome, hold, code }),
  }
}
