import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { defined } from '../lib/defined.ts'
import { readDocument } from '../lib/document.ts'
import { formatProblem } from '../lib/problem.ts'
import { terminalText } from '../lib/terminal-text.ts'
import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import { spanText } from '../channels/words.ts'
import { approversIn, type Decision, type Requirement, type Terms } from '../model/decision.ts'
import { actionOf, callerOf, casesSchema, type CaseSource } from '../policy/cases.ts'
import { loadPolicies, type PolicyWorld } from '../policy/load.ts'
import type { Explanation, ExplainingPolicySet, RuleExplanation } from '../policy/policy-set.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, readInput, type Io } from './io.ts'
import { readPolicyFiles, type CasesFile } from './policy-files.ts'
import { findWorld, issuersOf, policyOptions, writeProblems, type PolicyCommandParts } from './policy-world.ts'
import { toJson } from './rendering.ts'

const options = {
  ...policyOptions,
  case: { type: 'string', value: 'NAME', help: 'explain this case' },
  input: { type: 'string', value: 'FILE', help: 'explain the first case of this file; - for standard input' },
  sql: { type: 'string', value: 'TEXT', help: 'explain this SQL' },
  params: { type: 'string', value: 'LIST', help: 'with --sql: the values of $1, $2 … as a JSON list' },
  'estimated-rows': { type: 'string', value: 'COUNT', help: 'with --sql: what the planner would say' },
  transaction: { type: 'string', value: 'STATE', help: 'with --sql: in a transaction or not (none)', choices: ['none', 'clean', 'written'] },
  service: { type: 'string', value: 'NAME', help: 'with --sql: the service; not needed where only one is a database' },
  groups: { type: 'string', value: 'NAMES', help: 'with --sql: groups of the caller, with commas between them' },
  kind: { type: 'string', value: 'KIND', help: 'with --sql: what the caller is (agent)', choices: ['human', 'workload', 'agent'] },
} as const satisfies Options

const sqlOnly = ['params', 'estimated-rows', 'transaction', 'service', 'groups', 'kind'] as const

type Values = { readonly [K in 'case' | 'input' | 'sql' | (typeof sqlOnly)[number]]?: string }

const oneCaseSchema = z.strictObject({ cases: casesSchema.shape.cases })

/** What the options say, as a case of a file would: the same checks, the same words. */
const caseOfSql = (sql: string, { service, groups, kind = 'agent', params, 'estimated-rows': rows, transaction }: Values, world: PolicyWorld): CaseSource => {
  const databases = world.services.filter(({ protocol }) => protocol === 'postgres').map(({ name }) => name)
  const [only, ...others] = service === undefined ? databases : [service]
  if (only === undefined || others.length > 0) throw new Failure(only === undefined ? 'no service is a database' : `which service? Give --service, one of ${databases.join(', ')}`, exit.usage)
  if (!databases.includes(only)) throw new Failure(`no database is called "${only}"`, exit.usage)
  const list = groups?.split(',').map((group) => group.trim()).filter((group) => group !== '') ?? []
  const unknown = list.find((group) => world.groups !== undefined && !world.groups.includes(group))
  if (unknown !== undefined) throw new Failure(`no group is called "${unknown}"; there are ${world.groups?.join(', ')}`, exit.usage)
  if (rows !== undefined && !/^\d{1,15}$/.test(rows)) throw new Failure('--estimated-rows is a number', exit.usage)
  const read = casesSchema.shape.cases.safeParse([{ name: '--sql', caller: { kind, groups: list }, service: only, sql, ...defined({ params: params === undefined ? undefined : jsonOf(params), transaction, 'estimated-rows': rows === undefined ? undefined : Number(rows) }) }])
  if (!read.success) throw new Failure('--params is a JSON list of texts, numbers, true, false and null, such as \'[7, "open"]\'', exit.usage)
  return read.data[0] as CaseSource
}

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const findCase = async ({ case: name, input, sql, ...rest }: Values, cases: readonly CasesFile[], world: PolicyWorld, io: Io): Promise<CaseSource> => {
  if ([name, input, sql].filter((one) => one !== undefined).length !== 1) throw new Failure('give --case NAME for a case beside the policies, --input FILE with cases of your own, or --sql TEXT', exit.usage)
  if (sql !== undefined) return caseOfSql(sql, rest, world)
  const stray = sqlOnly.find((key) => rest[key] !== undefined)
  if (stray !== undefined) throw new Failure(`--${stray} goes with --sql; a case says it itself`, exit.usage)
  if (name !== undefined) {
    const found = cases.flatMap(({ value }) => value.cases).find((one) => one.name === name)
    if (found === undefined) throw new Failure(`no case is called "${name}"`, exit.usage)
    return found
  }
  const text = input === '-' ? await readInput(io) : await readFile(resolve(io.cwd, input ?? ''), 'utf8').catch((error: unknown) => Promise.reject(new Failure(`cannot read ${input}: ${String(error)}`, exit.usage)))
  const read = readDocument(text, input ?? '-', oneCaseSchema)
  if ('problems' in read) throw new Failure(read.problems.map((problem) => formatProblem(problem)).join('\n'), exit.invalid)
  const [first] = read.document.value.cases
  if (first === undefined) throw new Failure('no case', exit.usage)
  return first
}

/** One action, rule by rule. */
const explain = async (args: readonly string[], io: Io, parts: PolicyCommandParts): Promise<number> => {
  const { values, positionals } = parseOptions(args, options, { min: 0, max: 100 })
  const files = await readPolicyFiles(positionals.length === 0 ? ['policies'] : positionals, io)
  const world = await findWorld(values.config, files, parts, io)
  const source = await findCase(values, files.cases, world, io)
  const loaded = loadPolicies(files.policies, world)
  if (loaded.policies === undefined) {
    writeProblems(loaded.problems, 'error', io)
    return exit.invalid
  }
  const now = source.now === undefined ? Date.now() : Date.parse(source.now)
  const action = await actionOf(source, loaded.policies, parts)
  if (action === undefined) throw new Failure('mcp cases cannot be explained yet', exit.usage)
  if (typeof action === 'string') throw new Failure(`the request is refused before any rule is asked: ${action}`)
  const caller = callerOf(source.caller, issuersOf(world), now)
  const explanation = loaded.policies.explain(caller, action, now)
  const statements = statementsOf(action, caller, loaded.policies, now)
  const { verb, verbs, tags, resources } = action
  const notes = notesOf(action)
  if (values.output === 'json') io.stdout.write(toJson({ verb, verbs, tags, resources, ...defined({ notes: notes.length === 0 ? undefined : notes, statements: statements.length === 0 ? undefined : statements }), ...explanation }))
  else io.stdout.write(`${askedText(action, statements)}${explanationText(explanation)}`)
  return exit.ok
}

interface Statement {
  readonly verbs: readonly string[]
  readonly verdict: Decision['verdict']
}

/** Of several statements each by itself. */
const statementsOf = ({ parts = [], ...action }: Action, caller: Caller, policies: ExplainingPolicySet, now: number): readonly Statement[] =>
  parts.map((part) => ({ verbs: part.verbs, verdict: policies.explain(caller, { ...action, ...part }, now).decision.verdict }))

interface SqlFacts {
  readonly filtered?: boolean
  readonly notes?: readonly string[]
}

const factsOf = ({ facts }: Action): SqlFacts => (facts['sql'] ?? {}) as SqlFacts
const notesOf = (action: Action): readonly string[] => factsOf(action).notes ?? []

/** What the statement does, as it was understood. */
const askedText = (action: Action, statements: readonly Statement[]): string => {
  const { protocol, verbs, resources, tags } = action
  if (protocol === 'http') return ''
  const { filtered } = factsOf(action)
  return [
    `asks for ${verbs.join(', ')}`,
    ...statements.map(({ verbs: own, verdict }, at) => `  statement ${at + 1}: ${own.join(', ')}: ${verdict}`),
    ...resources.map(({ kind, name, access }) => `  ${kind === 'table' ? `${access} ` : ''}${kind} ${terminalText(name)}`),
    ...(tags.length === 0 ? [] : [`  tags ${tags.join(', ')}`]),
    ...(filtered === undefined ? [] : [filtered ? '  with a WHERE that leaves something out' : '  without a WHERE that leaves anything out']),
    ...notesOf(action).map((note) => `  note: ${terminalText(note)}`),
    '',
  ].join('\n')
}

/** Words of the condition language, in ours. */
const failureText = (error: string): string => error.replace(/^No such key: (\w+)/, '$1 is not known')

const ruleText = ({ rule, matched, failed, error }: RuleExplanation): string => {
  const why = error === undefined ? (failed === undefined ? '' : `  ${failed.key}: saw ${failed.saw}`) : `  the condition failed: ${failureText(error)}`
  return `  ${matched ? 'matched' : '   -   '}  ${rule.then.padEnd(5)}  ${rule.policy}/${rule.rule} (${rule.at})${rule.observed ? ' [observed]' : ''}${terminalText(why)}`
}

const requirementText = ({ count, assurance, channels, freshLoginMs, escalation, ...circle }: Requirement): string => {
  const sure = circle.groups.length + circle.users.length === 0 ? '' : ` by ${assurance}${channels === undefined ? '' : ` through ${channels.join(' or ')}`}${freshLoginMs === undefined ? '' : ` with a login of the last ${spanText(freshLoginMs)}`}` // asked of people alone
  const others = escalation === undefined ? '' : `, after ${spanText(escalation.afterMs)} also of ${approversIn(escalation).join(', ')}`
  return `  needs ${count} of ${approversIn(circle).join(', ')}${sure}${others}`
}

const termLines = ({ requirements, breakGlass = [], withinMs, runWithinMs, askReason, run, grant, irreversible, together, drift }: Terms): readonly string[] => [
  ...requirements.map(requirementText),
  `  within ${spanText(withinMs)}${askReason ? ', with a reason' : ''}; then it runs within ${spanText(runWithinMs)}${run === 'when-approved' ? ', also without its client' : ''}`,
  ...(grant === undefined ? [] : [`  a yes may let ${grant.times} more of its kind through${grant.rows === undefined ? '' : `, ${grant.rows} rows together`}, within ${spanText(grant.withinMs)}`]),
  ...(irreversible ? ['  approvers read that it cannot be undone'] : []),
  ...(together === false ? ['  nobody approves it as one of several in one step'] : []),
  ...breakGlass.map((circle) => `  in an emergency released alone by one of ${approversIn(circle).join(', ')}`),
  ...(drift === undefined ? [] : [`  unless it would by then change ${[drift.factor === undefined ? '' : `${drift.factor} times as many rows`, drift.rows === undefined ? '' : `${drift.rows} rows more`].filter(Boolean).join(', or ')}`]),
]

const obligationLines = ({ terms, obligations: { masks, limits } }: Decision): readonly string[] => [
  ...(terms === undefined ? [] : termLines(terms)),
  ...Object.entries(masks).map(([what, mask]) => `  masks ${terminalText(what.slice(what.indexOf(':') + 1))}: ${mask}`),
  ...(limits.rows === undefined ? [] : [`  at most ${limits.rows} rows`]),
  ...(limits.ms === undefined ? [] : [`  for at most ${limits.ms / 1_000} s`]),
]

const explanationText = ({ decision, rules }: Explanation): string => {
  const free = decision.verdict === 'allow' && !decision.matched.some(({ observed }) => !observed) ? ['  touches no data, so that it needs no rule'] : []
  return [decision.verdict, ...obligationLines(decision), ...free, ...(rules.length === 0 ? ['  no rule applies to this service'] : rules.map(ruleText)), ''].join('\n')
}

export const explainCommand = (parts: PolicyCommandParts): Command => ({
  path: ['policy', 'explain'],
  summary: 'Say rule by rule why an action is decided as it is',
  usage: '[FILE|DIRECTORY…] (--case NAME | --input FILE | --sql TEXT) [--config FILE]',
  details: 'Policies are those of the given files, or of the folder policies here. SQL is read by the parser that the proxy uses, without a database: a table without a schema is one of public, a function that is not the server\'s own may do anything, and nobody estimates rows unless --estimated-rows says how many.',
  options,
  examples: ['countersign policy explain policies --case "an agent reads orders"', 'countersign policy explain policies --groups agents --sql "DELETE FROM customers"', "countersign policy explain -c countersign.yaml policies --groups agents --estimated-rows 1 --params '[7]' --sql 'DELETE FROM orders WHERE id = $1'"],
  run: (args, io) => explain(args, io, parts),
})
