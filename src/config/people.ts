import type { AgentOptions, IssuerOptions } from '../identity/options.ts'
import type { Path } from '../lib/yaml-source.ts'
import { type Members, type Party, partyKey } from '../model/caller.ts'
import type { Checks } from './checks.ts'
import type { AccountSource, ConfigSource } from './schema.ts'

/**
 * The account that a short issuer name and a subject mean. An issuer with several exact values means the first one
 * of its only tenant; with several tenants the exact value has to be written.
 */
const makeParty = ({ issuer, subject }: AccountSource, path: Path, issuers: readonly IssuerOptions[], checks: Checks): Party => {
  const named = issuers.find(({ name }) => name === issuer)
  if (named === undefined) {
    const exact = issuers.find((other) => other.issuers.includes(issuer))
    if (exact === undefined) checks.known([...path, 'issuer'], issuer, issuers.map(({ name }) => name), 'issuer')
    return { issuer: exact?.preset === 'entra' ? firstOfTenant(exact.issuers, issuer) : issuer, subject }
  }
  if (named.preset === 'entra' && named.issuers.length > 2) checks.report([...path, 'issuer'], `stands for several tenants here; write the exact one: ${named.issuers.filter((_value, index) => index % 2 === 0).join(', ')}`)
  return { issuer: named.issuers[0] ?? issuer, subject }
}

/** A tenant has two values, one for each token version, and callers carry the first: so must whoever is compared with them. */
const firstOfTenant = (values: readonly string[], value: string): string => {
  const at = values.indexOf(value)
  return values[at - (at % 2)] ?? value
}

export const makeAgents = (agents: ConfigSource['agents'], issuers: readonly IssuerOptions[], checks: Checks): readonly AgentOptions[] => {
  const seen = new Map<string, string>()
  const all = Object.entries(agents).map(([name, source]): AgentOptions => {
    const path: Path = ['agents', name]
    const party = makeParty(source, path, issuers, checks)
    const other = seen.get(partyKey(party))
    if (other !== undefined) checks.report(path, `is the same account as "${other}"`, { on: 'key' })
    seen.set(partyKey(party), name)
    return { name, ...party, kind: source.kind, groups: source.groups, owner: makeParty(source.owner, [...path, 'owner'], issuers, checks) }
  })
  for (const { name, owner } of all) if (seen.has(partyKey(owner))) checks.report(['agents', name, 'owner'], 'is itself a registered agent; a person has to answer for it')
  return all
}

export const makePeople = (people: ConfigSource['people'], agents: readonly AgentOptions[], issuers: readonly IssuerOptions[], checks: Checks): readonly (readonly Party[])[] => {
  const seen = new Map<string, string>()
  const registered = new Map(agents.map((agent) => [partyKey(agent), agent.name]))
  return Object.entries(people).map(([name, accounts]) =>
    accounts.map((account, index) => {
      const path: Path = ['people', name, index]
      const party = makeParty(account, path, issuers, checks)
      const other = seen.get(partyKey(party))
      if (other !== undefined) checks.report(path, other === name ? 'stands here twice' : `belongs to "${other}" as well; one account is one person`)
      const agent = registered.get(partyKey(party))
      if (agent !== undefined) checks.report(path, `is the registered agent "${agent}", and an agent is no person`)
      seen.set(partyKey(party), name)
      return party
    }),
  )
}

/** Who is in which group, by account. A group that is not here is known by tokens alone. */
export const makeMembers = ({ members, groups }: ConfigSource, agents: readonly AgentOptions[], issuers: readonly IssuerOptions[], checks: Checks): Members => {
  const registered = new Map(agents.map((agent) => [partyKey(agent), agent.name]))
  return new Map(Object.entries(members).map(([group, accounts]) => {
    if (groups !== undefined) checks.known(['members', group], group, groups, 'group')
    if (accounts.length === 0) checks.warn(['members', group], 'is nobody: what waits for its approval alone is denied at once')
    return [group, new Set(accounts.map((account, index) => {
      const path: Path = ['members', group, index]
      const key = partyKey(makeParty(account, path, issuers, checks))
      const agent = registered.get(key)
      if (agent !== undefined) checks.report(path, `is the registered agent "${agent}", and agents approve nothing`)
      return key
    }))]
  }))
}

/** Who may read the audit log. A group that nobody can be in is a mistake that shows here. */
export const makeReaders = ({ audit, groups }: ConfigSource, checks: Checks): { readonly groups: readonly string[] } => {
  for (const [index, group] of audit.readers.groups.entries()) if (groups !== undefined) checks.known(['audit', 'readers', 'groups', index], group, groups, 'group')
  return audit.readers
}
