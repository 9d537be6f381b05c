import type { Problem } from '../lib/problem.ts'
import { terminalText } from '../lib/terminal-text.ts'
import type { MatchedRule } from '../model/decision.ts'
import { runCase, untouchedRules, type CaseResult } from '../policy/cases.ts'
import { loadPolicies, type PolicyWorld } from '../policy/load.ts'
import { settleCase } from './case-votes.ts'
import { parseOptions, type Command } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { explainCommand } from './policy-explain.ts'
import { policiesOf, readPolicyFiles, type CasesFile } from './policy-files.ts'
import { findWorld, issuersOf, policyOptions as options, writeProblems, type PolicyCommandParts } from './policy-world.ts'
import { counted, toJson } from './rendering.ts'

/** `policy check`: load and lint. */
const check = async (args: readonly string[], io: Io, parts: PolicyCommandParts): Promise<number> => {
  const { values, positionals } = parseOptions(args, { ...options, strict: { type: 'boolean', help: 'warnings count as problems' } }, { min: 0, max: 100 })
  const files = await readPolicyFiles(positionals.length === 0 ? ['policies'] : positionals, io)
  const world = await findWorld(values.config, files, parts, io)
  const loaded = loadPolicies(files.policies, world)
  const problems = [...files.problems, ...(loaded.problems ?? [])]
  const warnings = loaded.policies === undefined ? [] : loaded.warnings
  const bad = problems.length > 0 || (values.strict === true && warnings.length > 0)
  if (values.output === 'json') io.stdout.write(toJson({ valid: !bad, version: loaded.policies?.version ?? null, rules: loaded.policies?.rules.length ?? 0, problems, warnings }))
  else {
    writeProblems(problems, 'error', io)
    writeProblems(warnings, 'warning', io)
    if (loaded.policies !== undefined && problems.length === 0) io.stdout.write(`${counted(files.policies.length, 'file')}, ${counted(loaded.policies.rules.length, 'rule')}, version ${loaded.policies.version.slice(0, 19)}\n`)
  }
  return bad ? exit.invalid : exit.ok
}

interface FileReport {
  readonly file: string
  readonly results: readonly (CaseResult & { readonly at: string })[]
  readonly untouched: readonly MatchedRule[]
  readonly problems: readonly Problem[]
}

const testFile = async (cases: CasesFile, config: PolicyWorld | undefined, parts: PolicyCommandParts, io: Io): Promise<FileReport> => {
  const world = config ?? (await findWorld(undefined, { cases: [cases] }, parts, io))
  const loaded = loadPolicies(await policiesOf(cases, io), world)
  if (loaded.policies === undefined) return { file: cases.file, results: [], untouched: [], problems: loaded.problems }
  const { policies } = loaded
  const results: FileReport['results'][number][] = []
  for (const [index, one] of cases.value.cases.entries()) results.push({ at: `${cases.file}:${cases.lineOf(index)}`, ...(await runCase(one, policies, { makeAction: parts.makeAction, makeSql: parts.makeSql, settle: settleCase, issuers: issuersOf(world), services: world.services })) })
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
  if (values.output === 'json') io.stdout.write(toJson({ ...totals, problems, files: reports.map(({ file, results, untouched }) => ({ file, cases: results.map(({ name, at, result, differences, notes }) => ({ name, at, result, differences, notes })), untouched: untouched.map(({ policy, rule, at }) => ({ policy, rule, at })) })) }))
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
    ...results.flatMap(({ name, at, result, differences, notes }) => [`  ${{ passed: 'ok     ', failed: 'FAILED ', pending: 'pending' }[result]} ${terminalText(name)}${result === 'failed' ? ` (${at})` : ''}`, ...[...differences, ...notes].map((line) => `            ${terminalText(line)}`)]),
    ...untouched.map(({ policy, rule, at }) => `  no case touches ${policy}/${rule} (${at})`),
    '',
  ].join('\n')

export const policyCommands = (parts: PolicyCommandParts): readonly Command[] => [
  {
    path: ['policy', 'check'], summary: 'Load policies and say what is wrong with them', usage: '[FILE|DIRECTORY…] [--config FILE] [--strict]',
    options: { ...options, strict: { type: 'boolean', help: 'warnings count as problems' } }, examples: ['countersign policy check policies', 'countersign policy check -c countersign.yaml --strict policies'], run: (args, io) => check(args, io, parts),
  },
  {
    path: ['policy', 'test'], summary: 'Run the cases beside the policies', usage: '[FILE|DIRECTORY…] [--config FILE]',
    options, examples: ['countersign policy test policies'], run: (args, io) => test(args, io, parts),
  },
  explainCommand(parts),
]
