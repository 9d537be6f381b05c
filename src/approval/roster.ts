import { partyKey, type Party, type Principal } from '../model/caller.ts'

/** Who was seen when: what is known here of people between their own requests. Fed by every login, token check and vote. */
export interface Roster {
  see(principal: Principal): void
  /** When is this process's wall clock, in milliseconds. */
  last(party: Party): { readonly principal: Principal; readonly at: number } | undefined
}

/** Remembers the people of this process, least recently seen forgotten first. Agents and workloads never vote and are not kept. */
export const makeRoster = (now: () => number, limit = 50_000): Roster => {
  const seen = new Map<string, { readonly principal: Principal; readonly at: number }>()
  return {
    see({ issuer, subject, kind, groups, email, name, clientId }) {
      const key = partyKey({ issuer, subject })
      // An agent's client that got a person's token says nothing about that person; their own client, once an agent's, does.
      if (kind !== 'human' && (!seen.has(key) || (clientId !== undefined && clientId !== seen.get(key)?.principal.clientId))) return
      seen.delete(key)
      seen.set(key, { principal: { issuer, subject, kind, groups, ...(email === undefined ? {} : { email }), ...(name === undefined ? {} : { name }), ...(clientId === undefined ? {} : { clientId }) }, at: now() })
      if (seen.size > limit) seen.delete(seen.keys().next().value!)
    },
    last: (party) => seen.get(partyKey(party)),
  }
}
