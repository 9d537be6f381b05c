import { hash } from 'node:crypto'
import { z } from 'zod'
import { defined } from '../lib/defined.ts'
import type { Sealing } from '../lib/sealing.ts'
import { partyKey, type Caller, type Party } from '../model/caller.ts'
import type { Identity } from './identity.ts'
import type { LinkEntry, LinkStore } from './link-store.ts'

/** An account as the chat itself vouches for it; never an e-mail address or a name, which their owners write. */
export interface ChatAccount {
  readonly chat: 'slack' | 'teams'
  /** The workspace, tenant or organisation in which `user` is one and the same account. */
  readonly workspace: string
  readonly user: string
}

/**
 * Who stands behind an account of a chat, and what is known of people who are not here now. An account proves a chat session and gives no right:
 * whoever asks decides with the groups of the person's own last login or token. Rejects with `store-unavailable`.
 */
export interface Links {
  /** Somebody came with a login or a token of their own: they are in these groups now. */
  see(caller: Caller): Promise<void>
  /** The issuer says that all their logins are over: they are known again when they come again. */
  forget(party: Party): Promise<void>
  /** The person as they came last, if that was within `withinMs` and the configuration still says the same of them. */
  known(party: Party, withinMs: number): Promise<Caller | undefined>
  /** `taken`: the account is another person's, or the person has another account in this workspace. */
  link(account: ChatAccount, party: Party, keepMs: number): Promise<'linked' | 'taken'>
  unlink(account: ChatAccount, party: Party): Promise<boolean>
  whose(account: ChatAccount): Promise<Party | undefined>
  accountOf(party: Party, where: Pick<ChatAccount, 'chat' | 'workspace'>): Promise<ChatAccount | undefined>
  /**
   * Does the work unless it has been done under this name within `keepMs`, by whichever replica. What rejects is not done, and may come again;
   * two at the very same moment may both be done.
   */
  once<T>(name: string, keepMs: number, work: () => Promise<T>): Promise<T | undefined>
  /** Whether this name comes for the first time within `keepMs`, to whichever replica. */
  first(name: string, keepMs: number): Promise<boolean>
}

interface Parts {
  readonly store: LinkStore
  readonly sealing: Sealing
  readonly identity: Pick<Identity, 'standing'>
  readonly now: () => number
}

/** Longest that anybody is known without coming again. */
export const longestKnownMs = 30 * 86_400_000
/** The same person with the same groups is written down again after this. */
const freshMs = 10 * 60_000
const mostFresh = 10_000

const party = { issuer: z.string(), subject: z.string() }
const linkShape = z.strictObject({ chat: z.enum(['slack', 'teams']), workspace: z.string(), user: z.string(), ...party })
const personShape = z.strictObject({ ...party, groups: z.array(z.string()), email: z.string().optional(), name: z.string().optional(), authenticatedAt: z.number(), seenAt: z.number(), standing: z.string().optional() })

const nameOf = (...parts: readonly string[]): string => hash('sha256', JSON.stringify(parts), 'base64url')
const accountName = ({ chat, workspace, user }: ChatAccount): string => nameOf('account', chat, workspace, user)
const personName = ({ chat, workspace }: Pick<ChatAccount, 'chat' | 'workspace'>, { issuer, subject }: Party): string => nameOf('person', chat, workspace, issuer, subject)
const knownName = ({ issuer, subject }: Party): string => nameOf('known', issuer, subject)
const aboutLink = ({ account, person }: Pick<LinkEntry, 'account' | 'person'>): string => `link\n${account}\n${person}`

export const makeLinks = ({ store, sealing, identity, now }: Parts): Links => {
  const fresh = new Map<string, { readonly what: string; readonly until: number }>()

  const isFresh = (key: string, what: string): boolean => {
    const known = fresh.get(key)
    return known !== undefined && known.what === what && known.until > now()
  }

  /** What was sealed for exactly these two, one of which was asked for; anything else a store says is not believed. */
  const read = (entry: LinkEntry | undefined, asked: Partial<LinkEntry>): z.infer<typeof linkShape> | undefined => {
    if (entry === undefined || entry.account !== (asked.account ?? entry.account) || entry.person !== (asked.person ?? entry.person)) return undefined
    const text = sealing.open(entry.sealed, aboutLink(entry))
    return text === undefined ? undefined : linkShape.parse(JSON.parse(text))
  }

  return {
    async see(caller) {
      const { issuer, subject, kind, groups, email, name, authenticatedAt, onBehalfOf } = caller
      if (kind !== 'human' || onBehalfOf.length > 0 || groups === undefined) return
      const who = { issuer, subject, groups: [...groups], ...defined({ email, name, standing: identity.standing(caller) }) }
      const [key, what] = [partyKey(caller), JSON.stringify(who)]
      if (isFresh(key, what)) return
      const about = knownName(caller)
      await store.know(about, sealing.seal(JSON.stringify({ ...who, authenticatedAt, seenAt: now() } satisfies z.infer<typeof personShape>), `known\n${about}`), longestKnownMs)
      fresh.delete(key)
      fresh.set(key, { what, until: now() + freshMs })
      if (fresh.size > mostFresh) fresh.delete(fresh.keys().next().value!)
    },
    async forget(who) {
      fresh.delete(partyKey(who))
      await store.forget(knownName(who))
    },
    async known(who, withinMs) {
      const about = knownName(who)
      const sealed = await store.known(about)
      const text = sealed === undefined ? undefined : sealing.open(sealed, `known\n${about}`)
      if (text === undefined) return undefined
      const { issuer, subject, groups, email, name, authenticatedAt, seenAt, standing } = personShape.parse(JSON.parse(text))
      if (issuer !== who.issuer || subject !== who.subject || seenAt + withinMs <= now()) return undefined
      const caller: Caller = Object.freeze({ issuer, subject, kind: 'human', groups, ...defined({ email, name }), onBehalfOf: [], claims: {}, session: about.slice(0, 16), authenticatedAt, expiresAt: seenAt + withinMs, address: '' })
      return identity.standing(caller) === standing ? caller : undefined
    },
    link(account, who, keepMs) {
      const names = { account: accountName(account), person: personName(account, who) }
      const { chat, workspace, user } = account
      return store.link({ ...names, sealed: sealing.seal(JSON.stringify({ chat, workspace, user, issuer: who.issuer, subject: who.subject } satisfies z.infer<typeof linkShape>), aboutLink(names)) }, keepMs)
    },
    unlink: (account, who) => store.unlink({ account: accountName(account), person: personName(account, who) }),
    async whose(account) {
      const name = accountName(account)
      const link = read(await store.byAccount(name), { account: name })
      return link && { issuer: link.issuer, subject: link.subject }
    },
    async accountOf(who, where) {
      const name = personName(where, who)
      const link = read(await store.byPerson(name), { person: name })
      return link && { chat: link.chat, workspace: link.workspace, user: link.user }
    },
    async once(name, keepMs, work) {
      const key = nameOf('once', name)
      if ((await store.known(key)) !== undefined) return undefined
      const result = await work()
      await store.know(key, 'done', keepMs)
      return result
    },
    first: (name, keepMs) => store.first(name, keepMs),
  }
}
