import { canonicalJson } from '../lib/canonical-json.ts'
import { defined } from '../lib/defined.ts'
import { readDocument } from '../lib/document.ts'
import type { Problem } from '../lib/problem.ts'
import { problemAt, readYaml, type YamlSource } from '../lib/yaml-source.ts'
import type { Members } from '../model/caller.ts'
import type { Assurance, MatchedRule, VoteChannel } from '../model/decision.ts'
import type { Service } from '../model/service.ts'
import { compileClassification } from './classification.ts'
import { compileRule, type RuleScope, type RuleWorld } from './compile-rule.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { denyAll, makeServiceRules, type ServiceRules } from './decide.ts'
import { compileGlob } from './glob.ts'
import { classificationSchema, policySchema, type ClassificationSource, type Labels, type List, type PolicySource, type RuleSource } from './language.ts'
import { lintRules, type LintedRule } from './lint.ts'
import { negated, valuesOf } from './matchers.ts'
import type { ExplainingPolicySet } from './policy-set.ts'
import { meant } from './meant.ts'
import { NO_OBLIGATIONS } from './terms.ts'

/** What the rest of the configuration says, as far as policies depend on it. */
export interface PolicyWorld {
  readonly services: readonly Service[]
  /** Declared group names; `undefined`: any name may be a group. */
  readonly groups?: readonly string[] | undefined
  /** Issuers as policies may name them: by an exact `iss`, or by a short name that stands for some. */
  readonly issuers: readonly (string | { readonly name: string; readonly issuers: readonly string[] })[]
  /** How sure the configured channels can make us of an approver. */
  readonly channels: readonly Assurance[]
  /** Who is in a group, where that is known: a hold that nobody is there to release is a deny. */
  readonly members?: Members
  /** Where people can vote; absent: nobody knows. */
  readonly voteChannels?: readonly VoteChannel[]
  /** Whether people sign in with a browser; `undefined`: nobody knows. */
  readonly signIn?: boolean | undefined
  readonly enforceable: (service: Service) => { readonly masks: boolean; readonly rowLimit: boolean; readonly timeLimit: boolean }
  /** `sha256:` and hex. */
  readonly hash: (text: string) => string
}

export type LoadedPolicies =
  | { readonly policies: ExplainingPolicySet; readonly warnings: readonly Problem[]; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly policies?: undefined }

interface ReadFiles {
  readonly policies: { readonly source: YamlSource; readonly value: PolicySource }[]
  readonly classifications: { readonly source: YamlSource; readonly value: ClassificationSource }[]
}

interface PlacedRule {
  readonly compiled: CompiledRule & RuleScope
  readonly linted: LintedRule
}

/** All files at once, or none: with any problem there is no policy set. */
export const loadPolicies = (files: readonly { readonly file: string; readonly text: string }[], world: PolicyWorld): LoadedPolicies => {
  const problems: Problem[] = []
  const read = readFiles(files, problems)
  const classification = compileClassification(read.classifications, world.services.map(({ name }) => name), problems)
  const issuers = new Map(world.issuers.map((issuer): [string, readonly string[]] => (typeof issuer === 'string' ? [issuer, [issuer]] : [issuer.name, issuer.issuers])))
  const ruleWorld: RuleWorld = { groups: world.groups, issuers, channels: world.channels, voteChannels: world.voteChannels, signIn: world.signIn, tags: classification.tags }
  const placed = read.policies.flatMap((policy) => placeRules(policy, ruleWorld, world, problems))
  if (problems.length > 0) return { problems: problems.toSorted((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1)) }

  // Sorted by name, so that neither the order of files nor that of rules can be seen in any answer.
  const rules = placed.toSorted((a, b) => byName(a.compiled.matched, b.compiled.matched))
  const version = world.hash(canonicalJson(canonicalForm(read, world.services)))
  const perService = new Map(world.services.map((service) => [service.name, makeServiceRules(service, rules.filter(({ linted }) => linted.services.includes(service)).map(({ compiled }) => compiled), version, world.members)] as const))
  return { policies: makePolicySet(version, perService, rules.map(({ compiled }) => compiled.matched), classification.tagsOf), warnings: lintRules(rules.map(({ linted }) => linted)) }
}

const byName = (a: MatchedRule, b: MatchedRule): number => {
  const [left, right] = [`${a.policy}\n${a.rule}`, `${b.policy}\n${b.rule}`]
  return left < right ? -1 : left > right ? 1 : 0
}

const makePolicySet = (version: string, services: ReadonlyMap<string, ServiceRules>, rules: readonly MatchedRule[], tagsOf: ExplainingPolicySet['tagsOf']): ExplainingPolicySet => {
  const nothing = denyAll(version)
  return Object.freeze({
    version,
    rules,
    tagsOf,
    decide: (caller, action, now) => {
      try {
        return services.get(action.service)?.decide(caller, action, now) ?? nothing
      } catch {
        return nothing
      }
    },
    needsBody: (service, verb, path) => services.get(service)?.needsBody(verb, path) ?? false,
    needsEstimate: (service, action) => services.get(service)?.needsEstimate(action) ?? false,
    masksOf: (service, caller) => services.get(service)?.masksOf(caller) ?? NO_OBLIGATIONS.masks,
    pinned: (caller, action, now) => services.get(action.service)?.pinned(caller, action, now),
    reasons: (caller, action, now) => {
      try {
        return services.get(action.service)?.reasons(caller, action, now)
      } catch {
        return undefined
      }
    },
    replay: (caller, action, decision) => services.get(action.service)?.replay(caller, action, decision),
    explain: (caller, action, now) => services.get(action.service)?.explain(caller, action, now) ?? { decision: nothing, rules: [] },
  } satisfies ExplainingPolicySet)
}

const readFiles = (files: readonly { readonly file: string; readonly text: string }[], problems: Problem[]): ReadFiles => {
  const read: ReadFiles = { policies: [], classifications: [] }
  for (const { file, text } of files) {
    if (isClassification(text, file)) {
      const found = readDocument(text, file, classificationSchema)
      if ('problems' in found) problems.push(...found.problems)
      else read.classifications.push(found.document)
      continue
    }
    const found = readDocument(text, file, policySchema)
    if ('problems' in found) problems.push(...found.problems)
    else if (read.policies.some(({ value }) => value.policy === found.document.value.policy)) problems.push(problemAt(found.document.source, ['policy'], `another policy is called "${found.document.value.policy}" as well`, { quote: true }))
    else read.policies.push(found.document)
  }
  return read
}

/** A file is what its first-level keys say it is; the text is read for them only where it could be one. */
const isClassification = (text: string, file: string): boolean => {
  if (!text.includes('classification')) return false
  const read = readYaml(text, file)
  return 'source' in read && typeof read.source.value === 'object' && read.source.value !== null && 'classification' in read.source.value
}

const placeRules = ({ source, value }: { readonly source: YamlSource; readonly value: PolicySource }, ruleWorld: RuleWorld, world: PolicyWorld, problems: Problem[]): readonly PlacedRule[] => {
  const { policy } = value
  const chosen = servicesOf(value, world.services, (message) => problems.push(problemAt(source, ['services'], `policy ${policy}: ${message}`, { quote: true })))
  const names = new Set<string>()
  return value.rules.map((rule, index) => {
    const problem = (path: readonly PropertyKey[], message: string): Problem => problemAt(source, ['rules', index, ...path], `rule ${policy}/${rule.name}: ${message}`, { quote: true })
    if (names.has(rule.name)) problems.push(problem(['name'], 'another rule of this policy has the same name'))
    names.add(rule.name)
    const matched: MatchedRule = Object.freeze({ policy, rule: rule.name, then: rule.then, at: `${source.file}:${source.locate(['rules', index]).line}`, observed: value.mode === 'observe', ...defined({ because: rule.because, instead: rule.instead }) })
    const compiled = compileRule(rule, matched, ruleWorld, (path, message) => problems.push(problem(path, message)))
    const services = chosen.filter((service) => compiled.protocols.includes(service.protocol) && (rule.labels === undefined || hasLabels(service, rule.labels, rule.then === 'allow')))
    for (const message of unenforceable(rule, services, world.enforceable)) problems.push(problem([rule.mask === undefined ? 'limits' : 'mask'], message))
    for (const message of unaccompanied(rule, services)) problems.push(problem(['approval', 'run'], message))
    for (const message of uncounted(rule, services)) problems.push(problem(['approval', 'drift'], message))
    for (const message of ungrantable(rule, services)) problems.push(problem(['approval', 'grant'], message))
    return { compiled, linted: { source: rule, policy, observed: matched.observed, services, missed: services.length > 0 ? [] : [...new Set(chosen.map(({ protocol }) => protocol))], protocols: compiled.protocols, warn: problem, conditionWarnings: compiled.condition?.warnings ?? [] } }
  })
}

const isList = (selection: List | Labels): selection is List => Array.isArray(selection) || Array.isArray((selection as { not?: unknown }).not)

const servicesOf = ({ services: selection }: PolicySource, services: readonly Service[], report: (message: string) => void): readonly Service[] => {
  if (selection === undefined) return services
  if (!isList(selection)) return services.filter((service) => hasLabels(service, selection, false))
  const globs = valuesOf(selection).map((pattern) => compileGlob(pattern, '/'))
  const names = services.map(({ name }) => name)
  for (const { exact } of globs) if (exact !== undefined && !names.includes(exact)) report(`no service is called "${exact}"${meant(exact, names)}`)
  return services.filter(({ name }) => globs.some((glob) => glob.matches([name])) !== negated(selection))
}

/** A service without the label is none of those that a `not` names, but an allow rule does not take it for one of the others (`strict`). */
const hasLabels = (service: Service, labels: Labels, strict: boolean): boolean =>
  Object.entries(labels).every(([label, wanted]) => {
    const value = Object.hasOwn(service.labels, label) ? service.labels[label] : undefined
    const list: List = typeof wanted === 'string' ? [wanted] : wanted
    const found = value !== undefined && valuesOf(list).some((pattern) => compileGlob(pattern, '/').matches(value.split('/')))
    return negated(list) ? !found && !(strict && value === undefined) : found
  })

/** Obligations that the protocol of a service cannot keep: promised and not kept would be worse than not offered. */
const unenforceable = (rule: RuleSource, services: readonly Service[], enforceable: PolicyWorld['enforceable']): readonly string[] =>
  services.flatMap((service) => {
    const can = enforceable(service)
    return [
      ...(rule.mask !== undefined && !can.masks ? [`the protocol of service ${service.name} (${service.protocol}) has no masking, so "mask" cannot be kept there`] : []),
      ...(rule.limits?.rows !== undefined && !can.rowLimit ? [`the protocol of service ${service.name} (${service.protocol}) cannot limit rows`] : []),
      ...(rule.limits?.time !== undefined && !can.timeLimit ? [`the protocol of service ${service.name} (${service.protocol}) cannot limit the time`] : []),
    ]
  })

/** Only HTTP can make a request again, and keep its answer, without the connection that it came on. */
const unaccompanied = ({ approval }: RuleSource, services: readonly Service[]): readonly string[] =>
  approval?.run !== 'when-approved' ? [] : services.flatMap(({ name, protocol }) => (protocol === 'http' ? [] : [`"run: when-approved" cannot be kept for service ${name} (${protocol}): its actions run on the connection of the caller`]))

/** Only a database says beforehand how many rows. */
const uncounted = ({ approval }: RuleSource, services: readonly Service[]): readonly string[] =>
  approval?.drift === undefined ? [] : services.flatMap(({ name, protocol }) => (protocol === 'postgres' ? [] : [`"drift" cannot be kept for service ${name} (${protocol}): nobody counts its rows`]))

/** A grant at a database has a bound of rows, and nothing else can have one. */
const ungrantable = ({ approval }: RuleSource, services: readonly Service[]): readonly string[] =>
  approval?.grant === undefined ? [] : services.flatMap(({ name, protocol }) => {
    if (protocol === 'postgres') return approval.grant?.rows === undefined ? [`a grant for service ${name} (${protocol}) needs "rows": how many they may change together`] : []
    return approval.grant?.rows === undefined ? [] : [`"rows" cannot be kept for service ${name} (${protocol}): nobody counts its rows`]
  })

const canonicalForm = ({ policies, classifications }: ReadFiles, services: readonly Service[]): unknown => ({
  policies: policies.map(({ value }) => ({ ...value, rules: value.rules.toSorted((a, b) => (a.name < b.name ? -1 : 1)) })).toSorted((a, b) => (a.policy < b.policy ? -1 : 1)),
  classifications: classifications.map(({ value }) => canonicalJson(value.classification)).toSorted(),
  services: services.map(({ name, protocol, labels }) => ({ name, protocol, labels })).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
})
