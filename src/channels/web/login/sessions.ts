import { hash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import type { Roster } from '../../../approval/roster.ts'
import type { Identity } from '../../../identity/identity.ts'
import type { SessionStore } from '../../../identity/session-store.ts'
import type { LoginName } from '../../../identity/sign-in.ts'
import { defined } from '../../../lib/defined.ts'
import type { Sealing } from '../../../lib/sealing.ts'
import type { Caller } from '../../../model/caller.ts'
import { makeCookie } from './cookies.ts'

/** A browser in which somebody has logged in. */
export interface Session {
  readonly viewer: Caller
  /** Stands in every form of this session, and in none of another. */
  readonly csrf: string
  /** When this person logged in afresh, if that is how the session began. */
  readonly raisedAt?: number
}

export interface Sessions {
  /** Who is logged in, as known by now; `undefined` for nobody. `used`: a person did something, so the idle time begins anew. */
  of(request: IncomingMessage, used: boolean): Promise<Session | undefined>
  /** Begins a new session under a new id, and ends the one that the browser had. Resolves with the cookie. */
  begin(request: IncomingMessage, caller: Caller, login: LoginName & { readonly subject: string }, how: 'login' | 'step-up'): Promise<string>
  /** Ends the browser's session, here and in the store. Resolves with the cookie that says so. */
  end(request: IncomingMessage): Promise<string>
  /** Ends all sessions of a login at the issuer. Resolves with how many there were; `undefined` where this very notice was seen before. */
  endAll(login: LoginName, notice: string): Promise<number | undefined>
  isCsrf(request: IncomingMessage, given: string): boolean
}

export interface SessionLimits {
  readonly idleMs: number
  readonly maxAgeMs: number
}

/** Browsers in which one person may be logged in. */
const perPerson = 20
const noticesKeptMs = 3_600_000

const party = { issuer: z.string(), subject: z.string() }
const record = z.object({
  ...party,
  groups: z.array(z.string()).optional(),
  email: z.string().optional(),
  name: z.string().optional(),
  authenticatedAt: z.number(),
  startedAt: z.number(),
  endsAt: z.number(),
  raisedAt: z.number().optional(),
  /** What the configuration said of this person when the session began. */
  standing: z.string().optional(),
})

type Parts = { readonly store: SessionStore; readonly sealing: Sealing; readonly identity: Pick<Identity, 'standing'>; readonly roster?: Roster | undefined; readonly now: () => number }

export const makeSessions = (limits: SessionLimits, secure: boolean, { store, sealing, identity, roster, now }: Parts): Sessions => {
  const cookie = makeCookie('session', secure)
  const nameOf = (id: string): string => hash('sha256', id, 'base64url')
  const ownersOf = ({ issuer, subject, session }: LoginName): readonly string[] => [...(subject === undefined ? [] : [`sub\n${issuer}\n${subject}`]), ...(session === undefined ? [] : [`sid\n${issuer}\n${session}`])].map((owner) => hash('sha256', owner, 'base64url'))
  /** An id of ours, or nothing that needs looking for. */
  const idOf = (request: IncomingMessage): string | undefined => {
    const id = cookie.read(request)
    return id !== undefined && /^[A-Za-z0-9_-]{43}$/.test(id) ? id : undefined
  }

  const of: Sessions['of'] = async (request, used) => {
    const id = idOf(request)
    if (id === undefined) return undefined
    const name = nameOf(id)
    const sealed = await store.find(name, used ? limits.idleMs : undefined)
    const text = sealed === undefined ? undefined : sealing.open(sealed, name)
    const read = text === undefined ? undefined : record.safeParse(JSON.parse(text))
    if (!read?.success || read.data.endsAt <= now()) return undefined
    const viewer = viewerOf(read.data, name, request)
    return identity.standing(viewer) === read.data.standing ? { viewer, csrf: sealing.proof(id), ...defined({ raisedAt: read.data.raisedAt }) } : undefined
  }

  /** A person may have been seen since with a token that says other groups; what is newer counts. */
  const viewerOf = (kept: z.infer<typeof record>, name: string, request: IncomingMessage): Caller => {
    const { issuer, subject, authenticatedAt, startedAt, endsAt } = kept
    const seen = roster?.last({ issuer, subject })
    const { groups, email, name: display, kind } = seen !== undefined && seen.at > startedAt ? seen.principal : { ...kept, kind: 'human' as const }
    return Object.freeze({ issuer, subject, kind, groups, ...defined({ email, name: display }), onBehalfOf: [], claims: {}, session: name.slice(0, 16), authenticatedAt, expiresAt: endsAt, address: request.socket.remoteAddress ?? '' })
  }

  return {
    of,
    async begin(request, caller, login, how) {
      const old = idOf(request)
      if (old !== undefined) await store.end(nameOf(old))
      const id = randomBytes(32).toString('base64url')
      const name = nameOf(id)
      const { issuer, subject, groups, email, name: display, authenticatedAt } = caller
      const startedAt = now()
      const kept: z.infer<typeof record> = { issuer, subject, groups: groups && [...groups], email, name: display, authenticatedAt, startedAt, endsAt: startedAt + limits.maxAgeMs, standing: identity.standing(caller), raisedAt: how === 'step-up' ? startedAt : undefined }
      await store.put({ name, owners: ownersOf(login), sealed: sealing.seal(JSON.stringify(kept), name) }, { idleMs: limits.idleMs, atMostMs: limits.maxAgeMs, perOwner: perPerson })
      return cookie.set(id)
    },
    async end(request) {
      const id = idOf(request)
      if (id !== undefined) await store.end(nameOf(id))
      return cookie.clear()
    },
    async endAll(login, notice) {
      if (!(await store.first(`${login.issuer}\n${notice}`, noticesKeptMs))) return undefined
      let ended = 0
      // Where the issuer names its session, that one is over; the person may go on in others.
      for (const owner of ownersOf(login.session === undefined ? login : { issuer: login.issuer, session: login.session })) ended += await store.endAll(owner)
      return ended
    },
    isCsrf(request, given) {
      const id = idOf(request)
      return id !== undefined && sealing.isProof(given, id)
    },
  }
}
