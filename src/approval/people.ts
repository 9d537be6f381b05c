import { partyKey, type Members, type Party, type Principal } from '../model/caller.ts'

/** Who is one and the same person, and what was last known of them. */
export interface People {
  /** One key for all accounts of one person. */
  person(party: Party): string
  /** The voter as last seen anywhere after `since` (the store's clock); the given principal if nothing newer is known. Without groups that are known not to have them. */
  current(principal: Principal, since: number): Principal
}

/** A group whose members are known has no others, whatever a token says. */
export const within = (principal: Principal, members: Members): Principal => {
  const groups = principal.groups?.filter((group) => members.get(group)?.has(partyKey(principal)) ?? true)
  return groups === undefined || groups.length === principal.groups?.length ? principal : { ...principal, groups }
}

/** Joins linked accounts: lists that share an account name one person, however many lists it takes. */
export const personKeys = (linked: readonly (readonly Party[])[]): ((party: Party) => string) => {
  const parent = new Map<string, string>()
  const root = (key: string): string => {
    let at = key
    for (let up = parent.get(at); up !== undefined; up = parent.get(at)) at = up
    return at
  }
  for (const accounts of linked) {
    const first = accounts[0]
    if (first === undefined) continue
    for (const account of accounts) {
      const [a, b] = [root(partyKey(first)), root(partyKey(account))]
      if (a !== b) parent.set(b, a)
    }
  }
  return (party) => root(partyKey(party))
}
