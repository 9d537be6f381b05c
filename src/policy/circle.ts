import type { Party } from '../model/caller.ts'
import type { BreakGlass, Circle, Requirement } from '../model/decision.ts'
import { parseDuration } from '../lib/duration.ts'
import type { TermsWorld } from './approval-terms.ts'
import type { ApprovalSource, BreakGlassSource, CircleSource } from './language.ts'
import { meant } from './meant.ts'

type Report = (path: readonly PropertyKey[], message: string) => void

/** Whoever is listed must be somebody: a circle of nobody would look like help and be none. */
export const compileCircle = ({ groups = [], users = [] }: CircleSource, world: TermsWorld, report: Report): Circle => {
  if (groups.length === 0 && users.length === 0) report([], 'names no group and no user')
  for (const group of groups) if (world.groups !== undefined && !world.groups.includes(group)) report(['groups'], `no group is called "${group}"${meant(group, world.groups)}`)
  for (const { issuer } of users) if (!world.issuers.has(issuer)) report(['users'], `no issuer is called "${issuer}"${meant(issuer, world.issuers.keys())}`)
  const accounts = users.flatMap(({ issuer, subject }) => (world.issuers.get(issuer) ?? [issuer]).map((value): Party => Object.freeze({ issuer: value, subject })))
  return Object.freeze({ groups: Object.freeze([...groups]), users: Object.freeze(accounts) })
}

export const compileEscalation = ({ after, to }: NonNullable<ApprovalSource['escalate']>, withinMs: number, world: TermsWorld, report: Report): NonNullable<Requirement['escalation']> => {
  const afterMs = parseDuration(after) ?? 0
  if (afterMs < 1) report(['after'], `"${after}" is no time such as 15m`)
  else if (afterMs >= withinMs) report(['after'], `"${after}" is not before the end of "within": nobody would be asked any more`)
  return Object.freeze({ afterMs, ...compileCircle(to, world, (path, message) => report(['to', ...path], message)) })
}

const usualReason = 20
const longestReason = 1_000

export const compileBreakGlass = ({ who, reason = usualReason }: BreakGlassSource, rule: { readonly policy: string; readonly rule: string }, world: TermsWorld, report: Report): BreakGlass => {
  if (reason < 1 || reason > longestReason) report(['reason'], `a reason of ${reason} characters: from 1 to ${longestReason}`)
  return Object.freeze({ policy: rule.policy, rule: rule.rule, ...compileCircle(who, world, (path, message) => report(['who', ...path], message)), reason })
}
