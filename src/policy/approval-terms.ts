import { defined } from '../lib/defined.ts'
import { parseDuration } from '../lib/duration.ts'
import type { Party } from '../model/caller.ts'
import type { Assurance, Drift, GrantBounds, Requirement, VoteChannel } from '../model/decision.ts'
import { compileEscalation } from './circle.ts'
import type { ApprovalSource, CallersSource } from './language.ts'
import type { IssuerNames } from './matchers.ts'
import { meant } from './meant.ts'
import { reaches, type HoldTerms } from './terms.ts'

const DEFAULTS = { within: '30m', runWithin: '10m', assurance: 'console' } as const

export interface TermsWorld {
  /** Groups that identity may yield; `undefined`: any. */
  readonly groups: readonly string[] | undefined
  readonly issuers: IssuerNames
  readonly channels: readonly Assurance[]
  /** Where people can vote; `undefined`: nobody knows. */
  readonly voteChannels: readonly VoteChannel[] | undefined
  /** Whether people sign in with a browser; `undefined`: nobody knows. */
  readonly signIn: boolean | undefined
}

type Report = (path: readonly PropertyKey[], message: string) => void

/** What releases the hold; a hold that nobody could release is reported, because it would look like a rule and be an outage. */
export const compileTerms = (source: ApprovalSource, rule: { readonly policy: string; readonly rule: string; readonly callers: CallersSource | undefined }, world: TermsWorld, report: Report): Omit<HoldTerms, 'breakGlass'> => {
  const assurance = source.assurance ?? DEFAULTS.assurance
  if (!reaches(world.channels, assurance)) report(['assurance'], `no channel is configured that makes us sure of an approver by ${assurance}${assurance === 'passkey' ? ' (that takes listeners.console.sign-in, and a url with a name in it)' : ''}: nobody could approve`)
  const freshLoginMs = source['fresh-login'] === undefined ? undefined : duration(source['fresh-login'], (message) => report(['fresh-login'], message))
  if (freshLoginMs !== undefined && world.signIn === false) report(['fresh-login'], 'nobody can log in anew without listeners.console.sign-in: nobody could approve')
  reportChannels(source, assurance, world, (path, message) => report(['channels', ...path], message))
  const withinMs = duration(source.within ?? DEFAULTS.within, (message) => report(['within'], message))
  const escalation = source.escalate && compileEscalation(source.escalate, withinMs, world, (path, message) => report(['escalate', ...path], message))
  const many = Array.isArray(source.from)
  if (many && source.count !== undefined) report(['count'], 'with a list of approver groups each has a count of its own')
  const froms = Array.isArray(source.from) ? source.from : [source.from]
  const requirements = froms.map((from, index): Requirement => {
    const at = many ? ['from', index] : ['from']
    const groups = from.groups ?? []
    const listed = from.users ?? []
    const programs = from.automations ?? []
    const count = from.count ?? (many ? 1 : (source.count ?? 1))
    if (from.count !== undefined && source.count !== undefined) report(['count'], 'the count is given twice')
    if (groups.length === 0 && listed.length === 0 && programs.length === 0) report(at, 'names no group and no user, and no automation: nobody could approve')
    if (count < 1) report(from.count === undefined ? ['count'] : [...at, 'count'], `a count of ${count} would approve by itself`)
    if (count > 20) report(from.count === undefined ? ['count'] : [...at, 'count'], `a count of ${count}: at most 20`)
    for (const group of groups) if (world.groups !== undefined && !world.groups.includes(group)) report([...at, 'groups'], `no group is called "${group}"${meant(group, world.groups)}: nobody could approve`)
    for (const [key, accounts] of [['users', listed], ['automations', programs]] as const) for (const { issuer } of accounts) if (!world.issuers.has(issuer)) report([...at, key], `no issuer is called "${issuer}"${meant(issuer, world.issuers.keys())}`)
    const people = new Set([...listed, ...programs].map(({ issuer, subject }) => `${issuer}\n${subject}`))
    if (groups.length === 0 && count > people.size) report(at, `asks for ${count} people and lists ${people.size}: nobody could approve`)
    else if (groups.length === 0) reportSelf(people, count, rule.callers, world.issuers, (message) => report(at, message))
    const accounts = (all: typeof listed): readonly Party[] => Object.freeze(all.flatMap(({ issuer, subject }) => (world.issuers.get(issuer) ?? [issuer]).map((value): Party => Object.freeze({ issuer: value, subject }))))
    return Object.freeze({ policy: rule.policy, rule: rule.rule, groups: Object.freeze([...groups]), users: accounts(listed), ...(programs.length === 0 ? {} : { automations: accounts(programs) }), count, assurance, sharesPeople: source['shares-people'] ?? false, ...defined({ freshLoginMs, escalation, channels: source.channels && Object.freeze([...source.channels]) }) })
  })
  reportUnion(requirements, froms.every((from) => (from.groups ?? []).length === 0), (message) => report(['from'], message))
  return {
    requirements: Object.freeze(requirements),
    withinMs,
    runWithinMs: duration(source['run-within'] ?? DEFAULTS.runWithin, (message) => report(['run-within'], message)),
    askReason: source['ask-reason'] ?? false,
    run: source.run ?? 'attached',
    drift: source.drift === undefined ? undefined : parseDrift(source.drift, (message) => report(['drift'], message)),
    grant: source.grant && compileGrant(source.grant, source.irreversible === true, (path, message) => report(['grant', ...path], message)),
    irreversible: source.irreversible ?? false,
    together: source.together ?? true,
  }
}

const CHATS: ReadonlySet<VoteChannel> = new Set(['slack', 'teams'])
const NEEDS: Readonly<Record<VoteChannel, string>> = { console: 'listeners.console.sign-in', cli: 'listeners.console.login', api: 'listeners.console', slack: 'a channel of kind slack whose clicks come in, and listeners.console.sign-in', teams: 'a channel of kind teams-bot' }

/** Channels that are not there, or that never make us as sure as the rule asks. */
const reportChannels = ({ channels, 'fresh-login': fresh }: ApprovalSource, assurance: Assurance, { voteChannels }: TermsWorld, report: Report): void => {
  if (channels === undefined) return
  if (channels.length === 0) report([], 'names no channel: nobody could approve')
  for (const [index, channel] of channels.entries()) if (voteChannels !== undefined && !voteChannels.includes(channel)) report([index], `${channel} is not configured (that takes ${NEEDS[channel]}): nobody could approve through it`)
  const needsConsole = assurance === 'passkey' || fresh !== undefined
  if (channels.length > 0 && channels.every((channel) => (needsConsole ? channel !== 'console' : assurance === 'console' && CHATS.has(channel)))) report([], `a yes through ${channels.join(' or ')} is never as sure as ${needsConsole ? 'the console alone makes it' : '"assurance: console", which is meant where none is given'}: nobody could approve`)
}

const MAX_GRANT = 86_400_000

const compileGrant = ({ times, rows, within }: NonNullable<ApprovalSource['grant']>, irreversible: boolean, report: Report): GrantBounds => {
  if (irreversible) report([], 'what cannot be undone is looked at each time: no grant is given for it')
  const withinMs = duration(within, (message) => report(['within'], message))
  if (withinMs > MAX_GRANT) report(['within'], `"${within}" is longer than 24 hours`)
  return { times, withinMs, ...defined({ rows }) }
}

const parseDrift = (text: string, report: (message: string) => void): Drift => {
  const value = Number.parseFloat(text)
  if (!text.endsWith('x')) return { rows: value }
  if (value < 1) report(`"${text}" is less than what the approvers are shown`)
  return { factor: value }
}

const MAX_WAIT = 30 * 86_400_000

const duration = (text: string, report: (message: string) => void): number => {
  const ms = parseDuration(text)
  if (ms === undefined) report(`"${text}" is no time such as 30m`)
  else if (ms > MAX_WAIT) report(`"${text}" is longer than 30 days`)
  return ms ?? 1
}

/** A rule for named callers whose only approvers are those callers. */
const reportSelf = (people: ReadonlySet<string>, count: number, callers: CallersSource | undefined, issuers: IssuerNames, report: (message: string) => void): void => {
  const subjects = callers?.subjects
  if (!Array.isArray(subjects)) return
  const named = callers?.issuers
  for (const subject of subjects) {
    const others = [...people].filter((person) => {
      const [issuer = '', approver] = person.split('\n')
      return approver !== subject || (Array.isArray(named) && !named.includes(issuer) && !named.some((one) => issuers.get(issuer)?.includes(one)))
    })
    if (others.length < count) report(`"${subject}" would have to approve their own action: nobody else could approve`)
  }
}

/** Each requirement is met by people of its own. */
const reportUnion = (requirements: readonly Requirement[], listedOnly: boolean, report: (message: string) => void): void => {
  if (!listedOnly || requirements.length < 2 || requirements.some(({ sharesPeople }) => sharesPeople)) return
  const people = new Set(requirements.flatMap(({ users, automations = [] }) => [...users, ...automations].map(({ issuer, subject }) => `${issuer}\n${subject}`)))
  const needed = requirements.reduce((sum, { count }) => sum + count, 0)
  if (people.size < needed) report(`asks for ${needed} different people and lists ${people.size}: nobody could approve`)
}
