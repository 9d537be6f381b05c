import { partiesOf, partyKey, type Caller, type Members } from '../model/caller.ts'
import type { Circle, Decision, Requirement } from '../model/decision.ts'
import { NO_OBLIGATIONS } from './terms.ts'

/** Everybody who could serve it but those behind the action; `undefined`: one of the groups is known by tokens alone. */
const known = ({ groups, users }: Circle, behind: ReadonlySet<string>, members: Members): ReadonlySet<string> | undefined => {
  const people = new Set(users.map(partyKey))
  for (const group of groups) {
    const inIt = members.get(group)
    if (inIt === undefined) return undefined
    for (const key of inIt) people.add(key)
  }
  for (const key of behind) people.delete(key)
  return people
}

const isServable = (requirement: Requirement, behind: ReadonlySet<string>, members: Members): boolean => {
  const { escalation, automations = [], count } = requirement
  const first = known(requirement, behind, members)
  const later = escalation === undefined ? new Set<string>() : known(escalation, behind, members)
  return first === undefined || later === undefined || new Set([...first, ...later]).size + automations.length >= count
}

/** A hold whose approvers are known, and are not there, would wait for nobody: it is denied at once, by the rule that asks for them. */
export const refusedForNobody = (decision: Decision, caller: Caller, members: Members): Decision => {
  const { terms, ...rest } = decision
  if (terms === undefined || members.size === 0) return decision
  const behind = new Set(partiesOf(caller).map(partyKey))
  const lacking = terms.requirements.find((requirement) => !isServable(requirement, behind, members))
  if (lacking === undefined) return decision
  const matched = rest.matched.map((rule) => (rule.policy === lacking.policy && rule.rule === lacking.rule && !rule.observed ? { ...rule, then: 'deny' as const, because: 'This needs an approval, and too few people are left who could give it. Ask whoever looks after the approvers.' } : rule))
  return { ...rest, verdict: 'deny', matched, obligations: NO_OBLIGATIONS }
}
