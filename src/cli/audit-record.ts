import { terminalText } from '../lib/terminal-text.ts'

/** One record as one line for people. Every value of it is a stranger's: shortened, and spelled out where it could move a cursor. */
export const recordText = (record: Readonly<Record<string, unknown>>): string => {
  const words = [text(record['time']), text(record['id']), text(record['type'])]
  const say = (name: string, value: unknown): void => {
    if (value !== undefined && value !== '') words.push(`${name}=${text(value)}`)
  }
  const caller = part(record['caller'])
  const action = part(record['action'])
  const decision = part(record['decision'])
  const outcome = part(record['outcome'])
  const vote = part(record['vote'])
  const by = part(vote['by'] ?? record['by'])
  say('who', caller['subject'])
  say('for', list(caller['onBehalfOf']).map((principal) => part(principal)['subject']).join(','))
  say('action', action['verb'])
  say('service', action['service'])
  say('on', list(action['resources']).map((resource) => part(resource)['name']).join(','))
  say('verdict', decision['verdict'] ?? vote['verdict'])
  say('rules', list(decision['matched']).map((rule) => part(rule)['rule']).join(','))
  say('result', outcome['result'])
  say('status', outcome['status'])
  say('rows', outcome['rows'])
  say('ms', outcome['ms'])
  say('by', by['subject'])
  say('state', record['state'])
  say('reason', vote['reason'])
  say('to', part(record['successor'])['group'] ?? part(record['successor'])['subject'] ?? list(part(record['to'])['groups']).join(','))
  say('past', list(part(record['skipped'])['groups']).join(','))
  say('note', record['note'])
  say('covers', /^[^\n]*\n(\d+)\n/.exec(typeof record['signed'] === 'string' ? record['signed'] : '')?.[1])
  for (const name of ['code', 'refusal', 'sink', 'count', 'step', 'issuer', 'policyVersion', 'problems']) say(name, record[name])
  say('cause', record['cause'] ?? outcome['cause'])
  say('attempt', record['attempt'])
  say('hold', record['hold'])
  return words.join(' ')
}

const longest = 160

const text = (value: unknown): string => {
  const plain = terminalText(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
  const short = plain.length > longest ? `${plain.slice(0, longest)}…` : plain
  return /[\s="]/.test(short) ? `"${short.replaceAll('"', '\\"')}"` : short
}

const part = (value: unknown): Readonly<Record<string, unknown>> => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {})
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
