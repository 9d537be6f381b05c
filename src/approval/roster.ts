import { hash } from 'node:crypto'
import { partyKey, type Caller, type Party, type Principal } from '../model/caller.ts'

/** Who was seen when: what is known here of people between their own requests. Fed by every login, token check and vote. */
export interface Roster {
  /** What a token or session said before others said less gives nothing back, however often it is shown again. */
  see(principal: Principal & Partial<Pick<Caller, 'session'>>): void
  /** When is this process's wall clock, in milliseconds. */
  last(party: Party): { readonly principal: Principal; readonly at: number } | undefined
}

interface Seen {
  readonly principal: Principal
  readonly at: number
  /** What was said, and what was said before something else was. */
  readonly word: string | undefined
  readonly older: readonly string[]
}

/** Tokens and sessions of one person that are known to be outdated. */
const mostOlder = 16

const wordOf = ({ session, kind, groups }: Parameters<Roster['see']>[0]): string | undefined => (session === undefined ? undefined : hash('sha256', JSON.stringify([session, kind, groups ?? null]), 'base64url').slice(0, 22))

const olderThan = (known: Seen | undefined, word: string | undefined): readonly string[] => {
  if (known === undefined) return []
  return known.word === undefined || known.word === word ? known.older : [known.word, ...known.older].slice(0, mostOlder)
}

const isMore = ({ kind, groups = [] }: Principal, { principal }: Seen): boolean => kind !== principal.kind || groups.some((group) => principal.groups?.includes(group) !== true)

/** Remembers the people of this process, least recently seen forgotten first. Agents and workloads never vote and are not kept. */
export const makeRoster = (now: () => number, limit = 50_000): Roster => {
  const seen = new Map<string, Seen>()
  return {
    see(given) {
      const { issuer, subject, kind, groups, email, name, clientId } = given
      const key = partyKey({ issuer, subject })
      const known = seen.get(key)
      // An agent's client that got a person's token says nothing about that person; their own client, once an agent's, does.
      if (kind !== 'human' && (known === undefined || (clientId !== undefined && clientId !== known.principal.clientId))) return
      const word = wordOf(given)
      const isOld = word !== undefined && known?.older.includes(word) === true
      if (isOld && isMore(given, known)) return
      seen.delete(key)
      seen.set(key, { principal: { issuer, subject, kind, groups, ...(email === undefined ? {} : { email }), ...(name === undefined ? {} : { name }), ...(clientId === undefined ? {} : { clientId }) }, at: now(), ...(isOld ? { word: undefined, older: known.older } : { word, older: olderThan(known, word) }) })
      if (seen.size > limit) seen.delete(seen.keys().next().value!)
    },
    last: (party) => seen.get(partyKey(party)),
  }
}
