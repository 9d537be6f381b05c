import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Approvals } from '../../approval/approvals.ts'
import type { Roster } from '../../approval/roster.ts'
import type { Identity } from '../../identity/identity.ts'
import type { Links } from '../../identity/links.ts'
import { defined } from '../../lib/defined.ts'
import { isOpen, type Hold } from '../../model/hold.ts'
import type { Caller } from '../../model/caller.ts'
import type { Claim } from '../../model/claim.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Answer, Resource, Visit } from './api-resource.ts'
import { headerValues } from './boundary.ts'
import { makeEventStreams } from './event-stream.ts'
import { makeEvidenceApi, type EvidenceApiParts } from './evidence-api.ts'
import { parseBallot, parseBallots, parseBreakGlass, parseHandOver, parseHoldQuery, parsePageQuery, parseReview, parseStreamQuery, parseWithdrawal } from './forms.ts'
import { grantDetail } from './grant-view.ts'
import { holdDetail, holdSummary, isOwnPerson, mayVoteAtAll } from './hold-view.ts'
import type { Sessions } from './login/sessions.ts'
import type { ConsoleOptions } from './options.ts'
import { WrongMethod } from './problem.ts'
import { readJson } from './request-body.ts'
import { decideEach, fateView } from './together.ts'

export interface ApiParts extends Omit<EvidenceApiParts, 'viewerOf'> {
  readonly approvals: Approvals
  readonly identity: Identity
  /** Told of everybody who comes with a good token, so that a vote can later be checked against what is known of its author by then. */
  readonly roster?: Roster
  /** Where people who come with a token of their own are known afterwards. */
  readonly links?: Pick<Links, 'see'>
  /** Browsers read with their cookie as well; what they decide they send as forms. */
  readonly sessions?: Pick<Sessions, 'of'>
  /** The OpenAPI document; without one there is no `/openapi.json`. */
  readonly openapi?: unknown
}

export interface Api {
  /** Answers the request or throws. */
  answer(request: IncomingMessage, response: ServerResponse, target: URL): Promise<void>
  endStreams(): void
}

const waitForAPerson = 'Only people vote, with a token of their own, and programs that a rule names. If you are an agent: this action waits for a human approver; do not try to approve it, wait, or tell the person you work for.'

export const makeApi = ({ approvals, identity, roster, links, sessions, audit, receipts, openapi }: ApiParts, options: Pick<ConsoleOptions, 'audience' | 'login' | 'streams'>): Api => {
  const streams = makeEventStreams(approvals, options.streams)

  const claimOf = (request: IncomingMessage): Claim => {
    const [authorization, ...more] = headerValues(request, 'authorization')
    if (authorization === undefined) throw new Refusal('no-identity', 'Log in first: a bearer token is needed.')
    if (more.length > 0) throw new Refusal('two-identities', 'There is more than one Authorization header.')
    const [, token] = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization) ?? []
    if (token === undefined) throw new Refusal('bad-identity', 'The Authorization header is not a bearer token.')
    return { token, from: 'authorization', address: request.socket.remoteAddress ?? '', ...defined({ audience: options.audience }) }
  }

  const see = (caller: Caller): void => {
    roster?.see(caller)
    links?.see(caller).catch(() => {}) // known from an earlier time, or not at all
  }

  /** Who reads: by a bearer token or by a session, and never by both. */
  const viewerOf = async (request: IncomingMessage): Promise<Caller> => {
    const session = await sessions?.of(request, false)
    if (session !== undefined && headerValues(request, 'authorization').length === 0) return session.viewer
    if (session !== undefined) throw new Refusal('two-identities', 'There is a session cookie beside the Authorization header.')
    const viewer = await identity.authenticate(claimOf(request))
    see(viewer)
    return viewer
  }

  /** Whoever decides is looked at afresh: a cached answer is good enough for reading only. */
  const deciderOf = async (claim: Claim): Promise<Caller> => {
    const decider = await identity.recheck(await identity.authenticate(claim), claim)
    see(decider)
    return decider
  }

  const channelOf = (by: Caller): 'cli' | 'api' => (by.clientId !== undefined && by.clientId === options.login?.clientId ? 'cli' : 'api')

  const stillShown = (hold: Hold, revision: number | undefined): void => {
    if (revision !== undefined && revision !== hold.revision && isOpen(hold.state)) throw new Refusal('hold-changed', 'The hold has changed since it was shown. Look at it again.', { hold })
  }

  const show = async (id: string, viewer: Caller): Promise<Hold> => {
    try {
      return await approvals.show(id, viewer)
    } catch (error) {
      throw error instanceof Refusal && error.code === 'not-found' ? new Refusal('not-found', 'There is no such hold.', { cause: error }) : error
    }
  }

  /** Who may not see it hears the same as for an id that does not exist; that they tried is on record. */
  const showToVoter = async (id: string, by: Caller): Promise<Hold> => {
    try {
      return await show(id, by)
    } catch (error) {
      if (error instanceof Refusal && error.code === 'not-found') await approvals.voteTurnedAway(id, by, 'may not see it')
      throw error
    }
  }

  const turnAway = async (ids: readonly string[], by: Caller): Promise<never> => {
    for (const id of ids) await approvals.voteTurnedAway(id, by, by.onBehalfOf.length > 0 ? 'the vote came by delegation' : `a ${by.kind} does not vote`)
    throw new Refusal('not-eligible', waitForAPerson)
  }

  const list = async ({ request, query }: Visit): Promise<Answer> => {
    const viewer = await viewerOf(request)
    const { state, service, review, after, limit } = parseHoldQuery(query)
    const page = await approvals.list({ limit: limit ?? 50, ...defined({ states: state, service, unreviewed: review && (true as const), after }) }, viewer)
    return { status: 200, body: { holds: page.holds.map((hold) => holdSummary(hold, viewer, approvals)), ...defined({ next: page.next }) } }
  }

  const detail = async ({ request, id }: Visit): Promise<Answer> => {
    const viewer = await viewerOf(request)
    return { status: 200, body: holdDetail(await show(id, viewer), viewer, approvals) }
  }

  const vote = async ({ request, id }: Visit): Promise<Answer> => {
    const claim = claimOf(request)
    const ballot = parseBallot(await readJson(request))
    const by = await deciderOf(claim)
    if (!mayVoteAtAll(by)) return await turnAway([id], by)
    const hold = await showToVoter(id, by)
    stillShown(hold, ballot.revision)
    const channel = by.kind === 'workload' ? 'automation' : channelOf(by)
    const voted = await approvals.vote(id, { verdict: ballot.verdict, digest: ballot.digest, by, channel, assurance: 'console', ...defined({ reason: ballot.reason, grant: ballot.grant }) })
    return { status: 200, body: holdDetail(voted, by, approvals) }
  }

  /** Several in one step: each by its own digest, with its own rights, its own record and its own answer. */
  const voteEach = async ({ request }: Visit): Promise<Answer> => {
    const claim = claimOf(request)
    const { verdict, reason, holds } = parseBallots(await readJson(request))
    const by = await deciderOf(claim)
    if (!isOwnPerson(by)) return await turnAway(holds.map(({ id }) => id), by)
    const fates = await decideEach(holds, async ({ id, digest, revision }) => {
      stillShown(await showToVoter(id, by), revision)
      return await approvals.vote(id, { verdict, digest, by, channel: channelOf(by), assurance: 'console', together: holds.length, ...defined({ reason }) })
    })
    return { status: 207, body: { results: fates.map(fateView) } }
  }

  /** In an emergency, alone. Whatever comes of it is on record, where there is such a hold. */
  const breakGlass = async ({ request, id }: Visit): Promise<Answer> => {
    const claim = claimOf(request)
    const { digest, reason, revision } = parseBreakGlass(await readJson(request))
    const by = await deciderOf(claim)
    const release = (): Promise<Hold> => approvals.vote(id, { verdict: 'approve', brokeGlass: true, digest, by, channel: channelOf(by), assurance: 'console', ...defined({ reason }) })
    if (!isOwnPerson(by)) {
      await release().catch(() => {}) // never anything but refused
      throw new Refusal('not-eligible', waitForAPerson)
    }
    stillShown(await showToVoter(id, by), revision)
    return { status: 200, body: holdDetail(await release(), by, approvals) }
  }

  const handOver = async ({ request, id }: Visit): Promise<Answer> => {
    const claim = claimOf(request)
    const { to, note } = parseHandOver(await readJson(request))
    const by = await deciderOf(claim)
    await show(id, by)
    return { status: 200, body: holdDetail(await approvals.handOver(id, by, 'group' in to ? to : { issuer: to.issuer ?? by.issuer, subject: to.subject }, note), by, approvals) }
  }

  const review = async ({ request, id }: Visit): Promise<Answer> => {
    const claim = claimOf(request)
    const { note } = parseReview(await readJson(request))
    const by = await deciderOf(claim)
    await show(id, by)
    return { status: 200, body: holdDetail(await approvals.review(id, by, note), by, approvals) }
  }

  const withdraw = async ({ request, id }: Visit): Promise<Answer> => {
    const claim = claimOf(request)
    parseWithdrawal(await readJson(request))
    const by = await deciderOf(claim)
    await show(id, by)
    return { status: 200, body: holdDetail(await approvals.withdraw(id, by), by, approvals) }
  }

  const grants = async ({ request, query }: Visit): Promise<Answer> => {
    const viewer = await viewerOf(request)
    const { after, limit } = parsePageQuery(query)
    const page = await approvals.grants.list({ limit: limit ?? 50, ...defined({ after }) }, viewer)
    return { status: 200, body: { grants: page.grants.map((view) => grantDetail(view)), ...defined({ next: page.next }) } }
  }

  const grant = async ({ request, id }: Visit): Promise<Answer> => ({ status: 200, body: grantDetail(await approvals.grants.show(id, await viewerOf(request))) })

  const revoke = async ({ request, id }: Visit): Promise<Answer> => {
    const claim = claimOf(request)
    parseWithdrawal(await readJson(request))
    return { status: 200, body: grantDetail(await approvals.grants.revoke(id, await deciderOf(claim))) }
  }

  const events = async ({ request, response, query }: Visit): Promise<Answer> => {
    const viewer = await viewerOf(request)
    const last = headerValues(request, 'last-event-id')[0]
    const { after } = parseStreamQuery(last ? new URLSearchParams({ after: last }) : query)
    if (request.method === 'HEAD') return void response.writeHead(200, { 'content-type': 'text/event-stream' }).end()
    return void (await streams.serve({ viewer, after, still: () => viewerOf(request) }, response))
  }

  const whoami = async ({ request }: Visit): Promise<Answer> => {
    const viewer = await viewerOf(request)
    const { issuer, subject, kind, groups, email, name, clientId } = viewer
    return { status: 200, body: { issuer, subject, kind, ...defined({ name, email, clientId, groups }), onBehalfOf: viewer.onBehalfOf.map((other) => ({ issuer: other.issuer, subject: other.subject, kind: other.kind })), expiresAt: new Date(viewer.expiresAt).toISOString(), mayVote: isOwnPerson(viewer) } }
  }

  const loginInfo = async (): Promise<Answer> => {
    if (options.login === undefined) throw new Refusal('not-found', 'This server names no login for command lines: its configuration needs listeners.console.login, with an issuer and a client-id.')
    return { status: 200, body: options.login }
  }

  const document = async (): Promise<Answer> => {
    if (openapi === undefined) throw new Refusal('not-found', 'There is no API document here.')
    return { status: 200, body: openapi }
  }

  const evidence = makeEvidenceApi({ viewerOf, ...defined({ audit, receipts }) })

  const resources: readonly Resource[] = [
    { path: /^\/api\/holds$/, GET: list },
    { path: /^\/api\/holds\/events$/, GET: events },
    { path: /^\/api\/holds\/([A-Za-z0-9_-]{1,100})$/, GET: detail },
    { path: /^\/api\/holds\/([A-Za-z0-9_-]{1,100})\/votes$/, POST: vote },
    { path: /^\/api\/holds\/([A-Za-z0-9_-]{1,100})\/break-glass$/, POST: breakGlass },
    { path: /^\/api\/holds\/([A-Za-z0-9_-]{1,100})\/hand-over$/, POST: handOver },
    { path: /^\/api\/holds\/([A-Za-z0-9_-]{1,100})\/review$/, POST: review },
    { path: /^\/api\/holds\/([A-Za-z0-9_-]{1,100})\/withdraw$/, POST: withdraw },
    { path: /^\/api\/votes$/, POST: voteEach },
    { path: /^\/api\/grants$/, GET: grants },
    { path: /^\/api\/grants\/([A-Za-z0-9_-]{1,100})$/, GET: grant },
    { path: /^\/api\/grants\/([A-Za-z0-9_-]{1,100})\/revoke$/, POST: revoke },
    ...evidence.resources,
    { path: /^\/api\/whoami$/, GET: whoami },
    { path: /^\/api\/login-info$/, GET: loginInfo },
    { path: /^\/openapi\.json$/, GET: document },
  ]

  const answer: Api['answer'] = async (request, response, target) => {
    for (const resource of resources) {
      const match = resource.path.exec(target.pathname)
      if (match === null) continue
      // The method of the request line and no other: what a header or a query says about it is not looked at.
      const handle = request.method === 'POST' ? resource.POST : request.method === 'GET' || request.method === 'HEAD' ? resource.GET : undefined
      if (handle === undefined) throw new WrongMethod(resource.POST ? ['POST'] : ['GET', 'HEAD'])
      const result = await handle({ request, response, query: target.searchParams, id: match[1] ?? '' })
      if (result === undefined || response.headersSent) return
      response.writeHead(result.status, { 'content-type': 'application/json' })
      response.end(`${JSON.stringify(result.body)}\n`)
      return
    }
    throw new Refusal('not-found', 'There is nothing here.')
  }

  return {
    answer,
    endStreams() {
      streams.end()
      evidence.endStreams()
    },
  }
}
