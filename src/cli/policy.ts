import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { readDocument } from '../lib/document.ts'
import { formatProblem, type Problem } from '../lib/problem.ts'
import { terminalText } from '../lib/terminal-text.ts'
import type { Action } from '../model/action.ts'
import type { MatchedRule } from '../model/decision.ts'
import { actionOf, callerOf, casesSchema, runCase, untouchedRules, type CaseParts, type CaseResult, type CaseSource } from '../policy/cases.ts'
import { loadPolicies, type PolicyWorld } from '../policy/load.ts'
import type { Explanation, RuleExplanation } from '../policy/policy-set.ts'
import { settleCase } from './case-votes.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, readInput, type Io } from './io.ts'
import { policiesOf, readPolicyFiles, worldOf, type CasesFile } from './policy-files.ts'
import { outputOption, toJson } from './rendering.ts'

/** What the policy commands need from the rest of the program. */
export interface PolicyCommandParts {
  /** The HTTP protocol's own reading of a request. */
  readonly makeAction: CaseParts['makeAction']
  readonly makeSql: CaseParts['makeSql']
  readonly enforceable: PolicyWorld['enforceable']
  /** The world of a configuration file; throws a `Failure` (exit 3) for one that does not load. */
  readonly readWorld: (file: string, io: Io) => Promise<PolicyWorld>
}

const options = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'take services, groups and issuers from this configuration' },
  output: outputOption('table', 'json'),
} as const satisfies Options

const findWorld = async (config: string | undefined, cases: readonly CasesFile[], parts: PolicyCommandParts, io: Io): Promise<PolicyWorld> => {
  if (config !== undefined) return parts.readWorld(config, io)
  const world = worldOf(cases, parts.enforceable)
  if (world === undefined) throw new Failure('which services are there? Give --config FILE, or a "world" in a cases file beside the policies', exit.usage)
  return world
}

const issuersOf = (world: PolicyWorld): ReadonlyMap<string, string> =>
  new Map(world.issuers.map((issuer): [string, string] => (typeof issuer === 'string' ? [issuer, issuer] : [issuer.name, issuer.issuers[0] ?? issuer.name])))

const writeProblems = (problems: readonly Problem[], word: string, io: Io): void => {
  for (const problem of problems) io.stderr.write(`${word}: ${formatProblem(problem).split('\n').map(terminalText).join('\n')}\n`)
}

/** `policy check`: load and lint. */
const check = async (args: readonly string[], io: Io, parts: PolicyCommandParts): Promise<number> => {
  const { values, positionals } = parseOptions(args, { ...options, strict: { type: 'boolean', help: 'warnings count as problems' } }, { min: 0, max: 100 })
  const files = await readPolicyFiles(positionals.length === 0 ? ['policies'] : positionals, io)
  const world = await findWorld(values.config, files.cases, parts, io)
  const loaded = loadPolicies(files.policies, world)
  const problems = [...files.problems, ...(loaded.problems ?? [])]
  const warnings = loaded.policies === undefined ? [] : loaded.warnings
  const bad = problems.length > 0 || (values.strict === true && warnings.length > 0)
  if (values.output === 'json') io.stdout.write(toJson({ valid: !bad, version: loaded.policies?.version ?? null, rules: loaded.policies?.rules.length ?? 0, problems, warnings }))
  else {
    writeProblems(problems, 'error', io)
    writeProblems(warnings, 'warning', io)
    if (loaded.policies !== undefined && problems.length === 0) io.stdout.write(`${files.policies.length} files, ${loaded.policies.rules.length} rules, version ${loaded.policies.version.slice(0, 19)}\n`)
  }
  return bad ? exit.invalid : exit.ok
}

interface FileReport {
  readonly file: string
  readonly results: readonly CaseResult[]
  readonly untouched: readonly MatchedRule[]
  readonly problems: readonly Problem[]
}

const testFile = async (cases: CasesFile, config: PolicyWorld | undefined, parts: PolicyCommandParts, io: Io): Promise<FileReport> => {
  const world = config ?? (await findWorld(undefined, [cases], parts, io))
  const loaded = loadPolicies(await policiesOf(cases, io), world)
  if (loaded.policies === undefined) return { file: cases.file, results: [], untouched: [], problems: loaded.problems }
  const { policies } = loaded
  const results: CaseResult[] = []
  for (const one of cases.value.cases) results.push(await runCase(one, policies, { makeAction: parts.makeAction, makeSql: parts.makeSql, settle: settleCase, issuers: issuersOf(world), services: world.services }))
  return { file: cases.file, results, untouched: untouchedRules(policies, results), problems: [] }
}

/** `policy test`: the cases beside the policies. */
const test = async (args: readonly string[], io: Io, parts: PolicyCommandParts): Promise<number> => {
  const { values, positionals } = parseOptions(args, options, { min: 0, max: 100 })
  const files = await readPolicyFiles(positionals.length === 0 ? ['policies'] : positionals, io)
  if (files.problems.length === 0 && files.cases.length === 0) throw new Failure('no cases: they stand beside a policy, in x.cases.yaml for x.yaml', exit.usage)
  const config = values.config === undefined ? undefined : await parts.readWorld(values.config, io)
  const reports: FileReport[] = []
  for (const cases of files.cases) reports.push(await testFile(cases, config, parts, io))
  const problems = [...files.problems, ...reports.flatMap((report) => report.problems)]
  const count = (result: CaseResult['result']): number => reports.reduce((sum, { results }) => sum + results.filter((one) => one.result === result).length, 0)
  const totals = { passed: count('passed'), failed: count('failed'), pending: count('pending') }
  if (values.output === 'json') io.stdout.write(toJson({ ...totals, problems, files: reports.map(({ file, results, untouched }) => ({ file, cases: results.map(({ name, result, differences }) => ({ name, result, differences })), untouched: untouched.map(({ policy, rule, at }) => ({ policy, rule, at })) })) }))
  else {
    writeProblems(problems, 'error', io)
    for (const report of reports) io.stdout.write(reportText(report))
    io.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.pending} pending\n`)
  }
  return problems.length > 0 ? exit.invalid : totals.failed > 0 ? exit.testsFailed : exit.ok
}

const reportText = ({ file, results, untouched }: FileReport): string =>
  [
    file,
    ...results.flatMap(({ name, result, differences }) => [`  ${{ passed: 'ok     ', failed: 'FAILED ', pending: 'pending' }[result]} ${terminalText(name)}`, ...differences.map((difference) => `            ${terminalText(difference)}`)]),
    ...untouched.map(({ policy, rule, at }) => `  no case touches ${policy}/${rule} (${at})`),
    '',
  ].join('\n')

const oneCaseSchema = z.strictObject({ cases: casesSchema.shape.cases })

const explainOptions = {
  ...options,
  case: { type: 'string', value: 'NAME', help: 'explain this case' },
  input: { type: 'string', value: 'FILE', help: 'explain the first case of this file; - for standard input' },
  sql: { type: 'string', value: 'TEXT', help: 'explain this SQL' },
  service: { type: 'string', value: 'NAME', help: 'with --sql: the service; not needed where only one is a database' },
  groups: { type: 'string', value: 'NAMES', help: 'with --sql: groups of the caller, with commas between them' },
  kind: { type: 'string', value: 'KIND', help: 'with --sql: what the caller is (agent)', choices: ['human', 'workload', 'agent'] },
} as const satisfies Options

interface ExplainValues {
  readonly case?: string
  readonly input?: string
  readonly sql?: string
  readonly service?: string
  readonly groups?: string
  readonly kind?: string
}

const caseOfSql = (sql: string, { service, groups, kind = 'agent' }: ExplainValues, world: PolicyWorld): CaseSource => {
  const databases = world.services.filter(({ protocol }) => protocol === 'postgres').map(({ name }) => name)
  const [only, ...others] = service === undefined ? databases : [service]
  if (only === undefined || others.length > 0) throw new Failure(only === undefined ? 'no service is a database' : `which service? Give --service, one of ${databases.join(', ')}`, exit.usage)
  if (!databases.includes(only)) throw new Failure(`no database is called "${only}"`, exit.usage)
  return { name: '--sql', caller: { kind: kind as 'agent', groups: groups?.split(',').map((group) => group.trim()).filter((group) => group !== '') ?? [] }, service: only, sql }
}

const findCase = async ({ case: name, input, sql, ...rest }: ExplainValues, cases: readonly CasesFile[], world: PolicyWorld, io: Io): Promise<CaseSource> => {
  if ([name, input, sql].filter((one) => one !== undefined).length !== 1) throw new Failure('give --case NAME for a case beside the policies, --input FILE with cases of your own, or --sql TEXT', exit.usage)
  if (sql !== undefined) return caseOfSql(sql, rest, world)
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

/** `policy explain`: one action, rule by rule. */
const explain = async (args: readonly string[], io: Io, parts: PolicyCommandParts): Promise<number> => {
  const { values, positionals } = parseOptions(args, explainOptions, { min: 0, max: 100 })
  const files = await readPolicyFiles(positionals.length === 0 ? ['policies'] : positionals, io)
  const world = await findWorld(values.config, files.cases, parts, io)
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
  const explanation = loaded.policies.explain(callerOf(source.caller, issuersOf(world), now), action, now)
  io.stdout.write(values.output === 'json' ? toJson({ verb: action.verb, verbs: action.verbs, tags: action.tags, resources: action.resources, ...explanation }) : `${askedText(action)}${explanationText(explanation)}`)
  return exit.ok
}

/** What the statement does, as it was understood. */
const askedText = ({ protocol, verbs, resources, tags }: Action): string =>
  protocol === 'http' ? '' : `asks for ${verbs.join(', ')}${resources.map(({ kind, name, access }) => `\n  ${kind === 'table' ? `${access} ` : ''}${kind} ${terminalText(name)}`).join('')}${tags.length === 0 ? '' : `\n  tags ${tags.join(', ')}`}\n`

const explanationText = ({ decision, rules }: Explanation): string => {
  const line = ({ rule, matched, failed, error }: RuleExplanation): string => {
    const why = error === undefined ? (failed === undefined ? '' : `  ${failed.key}: saw ${failed.saw}`) : `  the condition failed: ${error}`
    return `  ${matched ? 'matched' : '   -   '}  ${rule.then.padEnd(5)}  ${rule.policy}/${rule.rule} (${rule.at})${rule.observed ? ' [observed]' : ''}${terminalText(why)}`
  }
  const terms = decision.terms?.requirements.map(({ count, groups, users, assurance }) => `  needs ${count} of ${[...groups, ...users.map(({ subject }) => subject)].join(', ')} by ${assurance}`) ?? []
  const free = decision.verdict === 'allow' && !decision.matched.some(({ observed }) => !observed) ? ['  touches no data, so that it needs no rule'] : []
  return [decision.verdict, ...terms, ...free, ...(rules.length === 0 ? ['  no rule applies to this service'] : rules.map(line)), ''].join('\n')
}

export const policyCommands = (parts: PolicyCommandParts): readonly Command[] => [
  {
    path: ['policy', 'check'], summary: 'Load policies and say what is wrong with them', usage: '[FILE|DIRECTORY…] [--config FILE] [--strict]',
    options: { ...options, strict: { type: 'boolean', help: 'warnings count as problems' } }, examples: ['countersign policy check policies', 'countersign policy check -c countersign.yaml --strict policies'], run: (args, io) => check(args, io, parts),
  },
  {
    path: ['policy', 'test'], summary: 'Run the cases beside the policies', usage: '[FILE|DIRECTORY…] [--config FILE]',
    options, examples: ['countersign policy test policies'], run: (args, io) => test(args, io, parts),
  },
  {
    path: ['policy', 'explain'], summary: 'say rule by rule why an action is decided as it is', usage: '[FILE|DIRECTORY…] (--case NAME | --input FILE | --sql TEXT)',
    options: explainOptions, examples: ['countersign policy explain policies --case "an agent reads orders"', 'countersign policy explain policies --groups agents --sql "DELETE FROM customers"'], run: (args, io) => explain(args, io, parts),
  },
]
