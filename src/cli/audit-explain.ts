import { resolve } from 'node:path'
import { parseLine } from '../audit/line.ts'
import { list, part, parts, text, type RecordData } from '../audit/record-data.ts'
import { linesOf, listSegments } from '../audit/segment.ts'
import { defined } from '../lib/defined.ts'
import { terminalText } from '../lib/terminal-text.ts'
import type { Action, Digest, Resource } from '../model/action.ts'
import type { Caller, Principal } from '../model/caller.ts'
import type { MatchedRule, Verdict } from '../model/decision.ts'
import type { Replay, ReplayedRule } from '../policy/replay.ts'
import { walsOf } from './audit-places.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { policiesOfVersion } from './kept-policies.ts'
import { outputOption, toJson } from './rendering.ts'

/* Why a decision on record is as it is, and whether the policies of then come to it again. */

const options = { directory: { type: 'string', short: 'd', value: 'DIR', help: 'where the journal lives; COUNTERSIGN_AUDIT_DIRECTORY' }, output: outputOption('table', 'json') } as const satisfies Options

/** What came of the replay; a text says why there is none. */
export type Replayed = Replay | string

const differs = 21

const texts = (value: unknown): readonly string[] => list(value).filter((one) => typeof one === 'string')

const principalOf = (record: RecordData): Principal => ({
  issuer: text(record['issuer']) ?? '', subject: text(record['subject']) ?? '', kind: record['kind'] === 'human' || record['kind'] === 'workload' ? record['kind'] : 'agent',
  groups: Array.isArray(record['groups']) ? texts(record['groups']) : undefined,
  ...defined({ email: text(record['email']), clientId: text(record['clientId']) }),
})

const callerOf = (record: RecordData): Caller => ({ ...principalOf(record), onBehalfOf: parts(record['onBehalfOf']).map(principalOf), claims: {}, session: '', authenticatedAt: 0, expiresAt: 0, address: text(record['address']) ?? '' })

const actionOf = (record: RecordData): Action => {
  const verb = text(record['verb']) ?? ''
  const resources = parts(record['resources']).map(({ kind, name, access, tags }) => ({ kind, name: text(name) ?? '', access, tags: texts(tags) }) as Resource)
  const path = resources.find(({ kind }) => kind === 'path')?.name
  return {
    protocol: record['protocol'] as Action['protocol'], service: text(record['service']) ?? '', verb, verbs: Array.isArray(record['verbs']) ? texts(record['verbs']) : [verb], effect: resources.some(({ access }) => access === 'write') ? 'write' : 'read',
    resources, tags: texts(record['tags']), text: '', textCut: false, facts: record['protocol'] === 'http' ? { http: { method: verb.replace(/^http\./, ''), ...defined({ path }) } } : {}, digest: (text(record['digest']) ?? 'sha256:') as Digest, shape: '',
  }
}

/** The decision of a record once more, by the policies of its version that were kept in that directory. */
export const replayOf = (record: RecordData, directory: string): Replayed => {
  const decision = part(record['decision'])
  const action = part(record['action'])
  if (record['cut'] !== undefined) return 'the record was too long and is cut, so it cannot be replayed'
  if (action['statements'] !== undefined) return `it was of ${String(action['statements'])} statements, each judged by itself, and the record is of all together`
  const version = text(decision['policyVersion']) ?? ''
  let found: Replay | undefined
  for (const { policies } of policiesOfVersion(directory, version)) {
    found = policies.replay(callerOf(part(record['caller'])), actionOf(action), { verdict: String(decision['verdict']) as Verdict, matched: parts(decision['matched']) as unknown as readonly MatchedRule[] })
    if (found?.same === true) return found
  }
  return found ?? 'the policies of that version are not kept here, or are not what they were'
}

const ruleName = ({ policy, rule, at }: { readonly policy?: unknown; readonly rule?: unknown; readonly at?: unknown }): string => `${String(policy)}/${String(rule)} (${String(at)})`

const reasonLine = (reason: RecordData): string => {
  const { key, saw } = part(reason['missed'])
  const lines = texts(reason['lines'])
  const reads = texts(reason['reads'])
  const why = key === undefined ? '' : `, and not by ${String(key)}${saw === undefined ? '' : `, which saw ${String(saw)}`}`
  return `  ${reason['matched'] === true ? 'matched' : 'nearly '}  ${String(reason['then']).padEnd(5)}  ${ruleName(reason)}: ${lines.length === 0 ? 'fits nothing in particular' : `fits by ${lines.join(', ')}`}${why}${reads.length === 0 ? '' : `; its condition looks at ${reads.join(', ')}`}${reason['broke'] === true ? '; the condition failed, which counts against the caller' : ''}`
}

const differences = (rules: readonly ReplayedRule[]): readonly string[] =>
  rules.flatMap(({ rule, then, now, missed }) => (now === undefined || now === then ? [] : [`  ${ruleName(rule)} ${then ? 'matched then, and does not' : 'did not match then, and does'}${missed === undefined ? '' : ` (${missed.key} sees ${missed.saw})`}`]))

const replayLines = (replayed: Replayed): readonly string[] => {
  if (typeof replayed === 'string') return [`not replayed: ${replayed}`]
  const taken = replayed.rules.filter(({ now }) => now === undefined)
  return [
    replayed.same ? `replayed by the policies of then: the same, ${replayed.verdict}` : `REPLAYED by the policies of then: NOT the same, it comes to ${replayed.verdict}`,
    ...(replayed.forNobody === true ? ['  that nobody was there to release it is taken from the record'] : []),
    ...differences(replayed.rules),
    ...replayed.absent.map((rule) => `  ${ruleName(rule)} is not in them`),
    ...taken.map(({ rule, then, unrecorded }) => `  ${ruleName(rule)}: that it ${then ? 'matched' : 'did not match'} is taken from the record, since ${unrecorded.join(', ')} is not on it`),
  ]
}

/** In words; a stranger's text cannot move a cursor in it. */
const explanationText = (record: RecordData, replayed: Replayed): string => {
  const { verdict, matched, policyVersion } = part(record['decision'])
  const { verb, service } = part(record['action'])
  const reasons = part(record['reasons'])
  const rules = parts(matched)
  return `${[
    `${String(verdict)}: ${String(verb)} at ${String(service)}, asked by ${String(part(record['caller'])['subject'])}, by the policies ${String(policyVersion)}`,
    ...(rules.length === 0 ? ['  no rule allows it'] : rules.map((rule) => `  ${rule['observed'] === true ? 'observed' : 'decides'}  ${String(rule['then']).padEnd(5)}  ${ruleName(rule)}${rule['because'] === undefined ? '' : `: ${String(rule['because'])}`}`)),
    ...(record['reasons'] === undefined ? [] : ['why, as it was recorded:', ...parts(reasons['rules']).map(reasonLine), ...(reasons['more'] === undefined ? [] : [`  and ${String(reasons['more'])} more rules that came less near`])]),
    ...replayLines(replayed),
  ].map(terminalText).join('\n')}\n`
}

const recordOf = (name: string, wals: readonly string[]): RecordData => {
  let found: RecordData | undefined
  for (const wal of wals)
    for (const { name: file } of listSegments(wal))
      for (const { text: line, whole } of linesOf(`${wal}/${file}`)) {
        if (!whole || !line.includes(name)) continue
        const record = parseLine(line)
        if (record?.id === name) return record
        if (record?.['decision'] !== undefined && [record.attempt, record['hold']].includes(name)) found ??= record
      }
  if (found === undefined) throw new Failure('there is no such record here, or no decision is on record of it')
  return found
}

const explain = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, options, { min: 1, max: 1 })
  const wals = walsOf(values.directory, io)
  const record = recordOf(positionals[0] ?? '', wals)
  if (record['decision'] === undefined) throw new Failure(`this record (${String(record['type'])}) is of no decision; give one that is, or the attempt`)
  const replayed = replayOf(record, resolve(io.cwd, values.directory ?? io.env['COUNTERSIGN_AUDIT_DIRECTORY'] ?? ''))
  if (values.output === 'json') io.stdout.write(toJson({ id: record['id'], decision: record['decision'], ...defined({ reasons: record['reasons'] }), replay: typeof replayed === 'string' ? { none: replayed } : replayed }))
  else io.stdout.write(explanationText(record, replayed))
  return typeof replayed !== 'string' && !replayed.same ? differs : exit.ok
}

export const auditExplainCommand: Command = {
  path: ['audit', 'explain'],
  summary: 'Say why a decision on record is as it is, and decide it again',
  usage: 'RECORD-ID|ATTEMPT|HOLD [--directory DIR]',
  details: 'The decision is made once more by the policies of then, which are kept beside the journal, from what is on record. What looks at bodies, parameters, headers, queries or claims is taken from the record, and said to be. Exit codes: 0 it comes to the same, or cannot be replayed; 21 it does not come to the same.',
  options,
  examples: ['countersign audit explain proxy-0/12/4711 --directory /var/lib/countersign/journal', 'countersign audit explain 6f2c1d3e-52a1-4c1e-9f0a-0f6f0f1c2d3e -o json'],
  run: explain,
}
