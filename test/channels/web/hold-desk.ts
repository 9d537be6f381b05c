import type { Approvals } from '../../../src/approval/approvals.ts'
import type { GrantView } from '../../../src/approval/grants.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import type { AuditDesk } from '../../../src/channels/web/audit-desk.ts'
import type { ReceiptDesk } from '../../../src/channels/web/receipt-desk.ts'
import { defined } from '../../../src/lib/defined.ts'
import { makeConsoleListener } from '../../../src/channels/web/listener.ts'
import type { ConsoleOptions } from '../../../src/channels/web/options.ts'
import { partiesOf, sameParty, type Caller, type Principal } from '../../../src/model/caller.ts'
import type { Hold, HoldState } from '../../../src/model/hold.ts'
import { Refusal } from '../../../src/model/refusal.ts'

/** Stand-ins behind the API, small enough to be read: what they answer is known, so that the tests see what the API makes of it. */
export const issuer = 'https://idp.test'
export const digest = `sha256:${'a1'.repeat(32)}` as const

export const person = (subject: string, ...groups: string[]): Caller => ({ issuer, subject, kind: 'human', groups, name: subject, onBehalfOf: [], claims: { secretClaim: 'never shown' }, session: `session-${subject}`, authenticatedAt: Date.now(), expiresAt: Date.now() + 600_000, address: '127.0.0.1' })
export const agent: Caller = { ...person('invoice-agent', 'agents'), kind: 'agent', owner: { issuer, subject: 'olga' } }

export const makeHold = (more: Partial<Hold> = {}): Hold => ({
  id: 'hold_1',
  code: 'CS-7F3K',
  revision: 1,
  state: 'pending',
  caller: agent,
  action: { protocol: 'http', service: 'orders', verb: 'http.POST', verbs: ['http.POST'], effect: 'write', resources: [{ kind: 'path', name: '/v1/exports', access: 'write', tags: ['pii'] }], tags: ['pii'], text: 'POST /v1/exports\n\n{"all":true}', textCut: false, facts: { http: { headers: { authorization: 'never shown' } } }, digest, shape: 's' },
  terms: { requirements: [{ policy: 'p', rule: 'exports', groups: ['security'], users: [], count: 1, assurance: 'console', sharesPeople: false }], withinMs: 60_000, runWithinMs: 60_000, askReason: false, run: 'attached' },
  matched: [{ policy: 'p', rule: 'exports', then: 'hold', at: 'p.yaml:3', because: 'Exports are looked at.', observed: false }],
  policyVersion: 'sha256:policy',
  votes: [],
  openedAt: Date.now(),
  deadline: Date.now() + 60_000,
  ...more,
})

export interface Desk {
  readonly holds: Map<string, Hold>
  readonly grants: Map<string, GrantView>
  /** Tokens that are good, by their text. */
  readonly tokens: Map<string, Caller>
  /** Every call that could have changed something. */
  readonly calls: string[]
  /** What everybody can do beside voting. */
  readonly offers: Set<'break-glass' | 'review' | 'hand-over'>
  change(id: string, state: HoldState): void
}

/** `from` is the issuer of those who ask for actions. */
export const makeDesk = (from = issuer) => {
  const holds = new Map([['hold_1', makeHold(from === issuer ? {} : { caller: { ...agent, issuer: from, owner: { issuer: from, subject: 'alice' } } })]])
  const tokens = new Map<string, Caller>([['alice', person('alice', 'security')], ['dave', person('dave', 'developers')], ['olga', person('olga', 'security')], ['agent', agent]])
  tokens.set('delegated', { ...agent, onBehalfOf: [person('alice', 'security')] })
  tokens.set('deputy', { ...person('alice', 'security'), onBehalfOf: [person('carol', 'security') as Principal] })
  const calls: string[] = []
  const grants = new Map<string, GrantView>()
  /** To everybody. */
  const offers = new Set<'break-glass' | 'review' | 'hand-over'>()
  const log: { cursor: string; id: string; state: HoldState }[] = []
  const wakers = new Set<() => void>()

  const isEligible = (hold: Hold, viewer: Caller) => hold.terms.requirements.some(({ groups }) => groups.some((group) => viewer.groups?.includes(group)))
  const find = (id: string, viewer: Caller): Hold => {
    const hold = holds.get(id)
    if (hold === undefined || !(isEligible(hold, viewer) || sameParty(hold.caller, viewer))) throw new Refusal('not-found', `${hold ? 'Hidden' : 'Unknown'} hold.`)
    return hold
  }
  const obstacle: Approvals['obstacle'] = (hold, viewer) => (partiesOf(hold.caller).some((party) => sameParty(party, viewer)) ? 'self-approval' : isEligible(hold, viewer) ? undefined : 'not-eligible')

  const approvals = {
    async show(id, viewer) {
      return find(id, viewer)
    },
    async sees(id, viewer) {
      const hold = holds.get(id)
      return hold !== undefined && (isEligible(hold, viewer) || sameParty(hold.caller, viewer))
    },
    async list(filter, viewer) {
      if (filter.unreviewed) calls.push('list unreviewed')
      const visible = [...holds.values()].filter((hold) => (filter.states?.includes(hold.state) ?? true) && (isEligible(hold, viewer) || sameParty(hold.caller, viewer)))
      return { holds: visible.slice(0, filter.limit), ...(visible.length > filter.limit ? { next: 'n1' } : {}) }
    },
    obstacle,
    offers: () => offers,
    voteTurnedAway: async (id, by) => void calls.push(`turned away ${by.subject} ${id}`),
    async vote(id, { verdict, digest: seen, by, channel, assurance, reason, grant, brokeGlass }) {
      calls.push(`${brokeGlass ? 'break-glass' : `vote ${verdict}`} ${by.subject} ${channel}${grant === undefined ? '' : ` grant ${JSON.stringify(grant)}`}`)
      const hold = find(id, by)
      if (hold.state === 'expired' || hold.deadline < Date.now()) throw new Refusal('hold-expired', 'Too late.', { hold })
      if (hold.state !== 'pending') throw new Refusal('already-settled', `It is ${hold.state}.`, { hold })
      if (seen !== hold.action.digest) throw new Refusal('wrong-digest', 'Another action than you saw.', { hold })
      const no = obstacle(hold, by)
      if (no) throw new Refusal(no, 'You may not.')
      const voted: Hold = { ...hold, revision: hold.revision + 1, state: verdict === 'approve' ? 'approved' : 'denied', votes: [...hold.votes, { verdict, by, channel, assurance, digest: seen, at: Date.now(), ...(reason === undefined ? {} : { reason }), ...(brokeGlass ? { brokeGlass } : {}) }] }
      holds.set(id, voted)
      change(id, voted.state)
      return voted
    },
    async handOver(id, by, to, note) {
      calls.push(`hand-over ${by.subject} ${JSON.stringify(to)}`)
      const hold = find(id, by)
      const given: Hold = { ...hold, marks: [{ what: 'handed-over', at: Date.now(), by, to, ...(note === undefined ? {} : { note }) }] }
      holds.set(id, given)
      return given
    },
    async review(id, by, note) {
      calls.push(`review ${by.subject}`)
      const hold = find(id, by)
      if (hold.state === 'pending') throw new Refusal('already-settled', 'Nothing to review.', { hold })
      return { ...hold, marks: [...hold.marks ?? [], { what: 'reviewed', at: Date.now(), by, note }] }
    },
    async withdraw(id, by) {
      calls.push(`withdraw ${by.subject}`)
      const hold = find(id, by)
      if (!sameParty(hold.caller, by)) throw new Refusal('not-eligible', 'Only the requester.')
      const gone: Hold = { ...hold, state: 'withdrawn' }
      holds.set(id, gone)
      return gone
    },
    async *changes(after, signal) {
      let at = after === undefined ? log.length : Number(after.slice(1))
      while (!signal.aborted) {
        for (; at < log.length; at++) yield log[at]!
        await new Promise<void>((resolve) => {
          wakers.add(resolve)
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
    },
    grants: {
      list: async ({ limit }, viewer) => ({ grants: [...grants.values()].filter(({ hold }) => isEligible(hold, viewer)).slice(0, limit) }),
      async show(id, viewer) {
        const view = grants.get(id)
        if (view === undefined || !isEligible(view.hold, viewer)) throw new Refusal('not-found', 'There is no such grant.')
        return view
      },
      async revoke(id, by) {
        const view = await approvals.grants.show(id, by)
        calls.push(`revoke ${id} ${by.subject}`)
        if (view.grant.ended !== undefined) throw new Refusal('already-settled', 'It had ended before.')
        const ended = { ...view, grant: { ...view.grant, ended: { why: 'revoked' as const, at: Date.now(), by: { issuer: by.issuer, subject: by.subject } } } }
        grants.set(id, ended)
        return ended
      },
    },
  } as Partial<Approvals> as Approvals

  const change = (id: string, state: HoldState): void => {
    log.push({ cursor: `c${log.length + 1}`, id, state })
    for (const wake of wakers) wake()
    wakers.clear()
  }

  const authenticate: Identity['authenticate'] = async ({ token }) => {
    const caller = tokens.get(token)
    if (caller === undefined) throw new Refusal('bad-identity', 'The token is not accepted.', { cause: 'unknown token' })
    return caller
  }
  const identity: Identity = { standing: () => undefined, authenticate, recheck: async (caller, claim) => (calls.push(`recheck ${caller.subject}`), authenticate(claim)) }
  const desk: Desk = { holds, grants, tokens, calls, offers, change }
  return { desk, approvals, identity }
}

export const silent = { info() {}, warn() {}, error() {} }

export const startDesk = async (more: Partial<ConsoleOptions> = {}, openapi?: unknown, audit?: AuditDesk, receipts?: ReceiptDesk) => {
  const { desk, approvals, identity } = makeDesk()
  const options: ConsoleOptions = { host: '127.0.0.1', port: 0, url: 'https://approvals.example.org', hosts: ['127.0.0.1'], streams: { total: 10, perViewer: 2 }, login: { issuer, clientId: 'countersign-cli', scopes: ['openid', 'groups'] }, ...more }
  const listener = makeConsoleListener(options, { approvals, identity, log: silent, ...defined({ openapi, audit, receipts }) })
  const { port } = await listener.listen()
  const url = `http://127.0.0.1:${port}`
  const call = async (method: string, path: string, { token, body, headers = {} }: { token?: string; body?: unknown; headers?: Record<string, string> } = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      signal: AbortSignal.timeout(5_000),
      headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: (text !== '' && /[/+]json$/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : {}) as Record<string, unknown> }
  }
  return { ...desk, url, port, call, listener, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() }
}
