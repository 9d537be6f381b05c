import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Approvals } from '../../approval/approvals.ts'
import { obstacles } from '../../approval/no.ts'
import { defined } from '../../lib/defined.ts'
import type { Caller } from '../../model/caller.ts'
import { isOpen, type Hold } from '../../model/hold.ts'
import { Refusal, type RefusalCode } from '../../model/refusal.ts'
import { headline, stateText, targetText } from '../words.ts'
import { parseBreakGlassForm, parseHandOverForm, parseInboxQuery, parseReviewForm, parseVoteForm, type VoteForm } from './forms.ts'
import { isOwnPerson } from './hold-view.ts'
import { readSessionForm } from './login/session-form.ts'
import type { Session, Sessions } from './login/sessions.ts'
import { holdPage, type HoldPage } from './pages/hold-page.ts'
import type { Html } from './pages/html.ts'
import { inboxPage, isTab, type Tab } from './pages/inbox-page.ts'
import type { MarkText } from './pages/marked-text.ts'
import { makeStatement } from './pages/statement.ts'
import type { Signing, Yes } from './passkeys/signing.ts'
import { statusOf } from './problem.ts'
import type { ReceiptDesk } from './receipt-desk.ts'

export interface Shown {
  readonly status: number
  readonly title: string
  readonly main: Html
}

type Alert = NonNullable<HoldPage['alert']>

/** Holds that are looked through at one time for a page of the inbox, how often at most, and with how many it is full enough. */
const lookedAt = 200
const mostLooks = 4
const enough = 50

const conflicts: Partial<Record<RefusalCode, string>> = {
  'wrong-digest': 'What you saw is not what is waiting',
  'hold-changed': 'This changed while you looked at it',
  'already-settled': 'This was decided before you',
  'already-voted': 'You have voted already',
  'hold-expired': 'Your decision came too late',
  'not-eligible': 'You may not decide this',
  'self-approval': 'You may not decide this',
  'assurance-too-low': 'It takes more to approve this',
  'wrong-channel': 'This is approved elsewhere',
  'reason-required': 'A reason is missing',
  'malformed': 'This cannot be taken as it is',
  'too-many-holds': 'This was handed over often enough',
}

const changed = (hold: Hold): Refusal => new Refusal('hold-changed', 'Somebody may have voted, or it was asked for anew. Below is how it stands now: look at it again, and decide.', { hold })

/** The ballot as it was on the page, of a page that shows what is there now. */
export type Look = (hold: Hold, ballot: VoteForm, viewer: Caller) => Promise<Yes>

export const makeLook = (markSql: MarkText | undefined): Look => async (hold, ballot, viewer) => {
  if (!isOwnPerson(viewer)) throw new Refusal('not-eligible', obstacles['not-eligible'])
  const { shown } = await makeStatement(hold, markSql)
  if (isOpen(hold.state) && ballot.digest === hold.action.digest && (ballot.revision !== hold.revision || ballot.shown !== shown)) throw changed(hold)
  if (ballot.verdict === 'approve' && hold.action.textCut) throw new Refusal('not-eligible', 'More will run than can be shown here. Look at it whole, and approve it on the command line by its digest.')
  return { digest: ballot.digest, shown, ...defined({ reason: ballot.reason, grant: ballot.grant }) }
}

/** The inbox, holds, and what people decide about them. */
export const makeDecisions = ({ approvals, sessions, url, markSql, signing, receipts, readsAudit, now }: { readonly readsAudit: (viewer: Caller) => boolean; readonly receipts?: Pick<ReceiptDesk, 'mayRead'> | undefined; readonly approvals: Approvals; readonly sessions: Sessions; readonly url: string; readonly markSql?: MarkText | undefined; readonly signing: Signing; readonly now: () => number }) => {
  const personOf = (hold: Hold, viewer: Caller) => hold.votes.findLast(({ by }) => by.issuer === viewer.issuer && by.subject === viewer.subject)

  const render = async (hold: Hold, session: Session, more: { readonly status?: number; readonly alert?: Alert; readonly typed?: string | undefined; readonly wish?: ReadonlyMap<string, string> | undefined } = {}): Promise<Shown> => {
    const { viewer, csrf } = session
    const obstacle = isOwnPerson(viewer) ? approvals.obstacle(hold, viewer) : 'not-eligible'
    const statement = await makeStatement(hold, markSql)
    const lack = obstacle === undefined && hold.state === 'pending' ? await signing.lack(hold, session) : undefined
    const own = obstacle === 'self-approval'
    const main = holdPage({ receipt: receipts !== undefined && (own || receipts.mayRead(viewer)), lack, hold, statement, viewer, csrf, obstacle, offers: approvals.offers(hold, viewer), own, mine: personOf(hold, viewer), url, readsAudit: readsAudit(viewer), now: now(), alert: more.alert, typed: more.typed, wish: more.wish })
    return { status: more.status ?? 200, title: `${stateText(hold.state)}: ${headline(hold)} ${targetText(hold)}`, main }
  }

  const show = async (id: string, viewer: Caller): Promise<Hold> => {
    try {
      return await approvals.show(id, viewer)
    } catch (error) {
      throw error instanceof Refusal && error.code === 'not-found' ? new Refusal('not-found', 'There is no such hold, or none that you may see.', { cause: error }) : error
    }
  }

  const formOf = (request: IncomingMessage) => readSessionForm(sessions, request, 'nothing was decided')

  const looked = makeLook(markSql)

  const cast = async (hold: Hold, ballot: VoteForm, session: Session): Promise<void> => {
    const yes = await looked(hold, ballot, session.viewer)
    // What cannot count any more is refused for that, and nobody reaches for a passkey for it.
    const mayCount = ballot.verdict === 'approve' && hold.state === 'pending' && hold.deadline > now() && ballot.digest === hold.action.digest && approvals.obstacle(hold, session.viewer) === undefined
    const proof = mayCount ? await signing.proof(hold, session, yes, ballot) : { assurance: 'console' as const }
    await approvals.vote(hold.id, { verdict: ballot.verdict, ...yes, by: session.viewer, channel: 'console', ...proof })
  }

  /** What became of a decision that was not counted, on the page of the hold as it is now. */
  const refused = async (refusal: Refusal, id: string, session: Session, form: ReadonlyMap<string, string>): Promise<Shown> => {
    const hold = await show(id, session.viewer)
    const mine = personOf(hold, session.viewer)
    const again = mine !== undefined && (refusal.code === 'already-settled' || refusal.code === 'already-voted' || refusal.code === 'hold-changed')
    const alert: Alert = again ? { heading: 'Your decision is recorded already', text: `You ${mine.verdict === 'approve' ? 'approved' : 'denied'} this. Sending it again changed nothing.` } : { heading: conflicts[refusal.code] ?? 'Nothing was decided', text: `${refusal.message} ${/nothing/i.test(refusal.message) ? '' : 'Your decision was not counted.'}`.trim() }
    return render(hold, session, { status: statusOf[refusal.code], alert, typed: form.get('reason'), wish: refusal.code === 'malformed' ? form : undefined })
  }

  const inbox = async (session: Session, target: URL): Promise<Shown> => {
    const { tab: asked = 'needs', after } = parseInboxQuery(target.searchParams)
    const tab: Tab = isTab(asked) ? asked : 'needs'
    const { viewer } = session
    const belongs = (hold: Hold): boolean => tab === 'all' || approvals.obstacle(hold, viewer) === (tab === 'mine' ? 'self-approval' : undefined)
    const holds: Hold[] = []
    let next = after
    for (let looks = 0; looks < mostLooks && (looks === 0 || (next !== undefined && holds.length < enough)); looks++) {
      const page = await approvals.list({ limit: tab === 'all' ? enough : lookedAt, ...(tab === 'needs' ? { states: ['pending'] as const } : {}), ...defined({ after: next }) }, viewer)
      holds.push(...page.holds.filter((hold) => belongs(hold) && (tab !== 'needs' || hold.deadline > now())))
      next = page.next
    }
    const reviews = tab === 'needs' && after === undefined ? (await approvals.list({ limit: enough, unreviewed: true }, viewer)).holds.filter((hold) => approvals.offers(hold, viewer).has('review')) : []
    const count = holds.length + reviews.length
    return { status: 200, title: tab === 'needs' && count > 0 ? `(${count}) Approvals` : 'Approvals', main: inboxPage({ tab, viewer, reviews, holds: tab === 'needs' ? holds.toSorted((a, b) => a.deadline - b.deadline) : holds, next, first: after === undefined, now: now() }) }
  }

  /** Answers with a redirect to what it made of the hold, or with the page that says why it did not count. */
  const decide = (work: (hold: Hold, session: Session, form: ReadonlyMap<string, string>) => Promise<void>) => async (request: IncomingMessage, response: ServerResponse, id: string): Promise<{ readonly session: Session; readonly shown: Shown } | undefined> => {
    const { session, form } = await formOf(request)
    try {
      const hold = await show(id, session.viewer) // who may not see it hears the same as for an id that does not exist
      await work(hold, session, form)
    } catch (error) {
      if (!(error instanceof Refusal) || conflicts[error.code] === undefined) throw error
      return { session, shown: await refused(error, id, session, form) }
    }
    return void response.writeHead(303, { location: `/holds/${id}` }).end()
  }

  return {
    inbox,
    hold: async (session: Session, id: string): Promise<Shown> => render(await show(id, session.viewer), session),

    vote: decide(async (hold, session, form) => cast(hold, parseVoteForm(form), session)),

    withdraw: decide(async ({ id }, { viewer }) => void (await approvals.withdraw(id, viewer))),

    breakGlass: decide(async (hold, session, form) => {
      const yes = await looked(hold, { ...parseBreakGlassForm(form), verdict: 'approve' }, session.viewer)
      await approvals.vote(hold.id, { verdict: 'approve', brokeGlass: true, ...yes, by: session.viewer, channel: 'console', assurance: 'console', ...defined({ loggedInAt: session.raisedAt }) })
    }),

    review: decide(async ({ id }, { viewer }, form) => void (await approvals.review(id, viewer, parseReviewForm(form).note))),

    handOver: decide(async ({ id }, { viewer }, form) => {
      const { group, subject, note } = parseHandOverForm(form)
      if ((group === '') === (subject === '')) throw new Refusal('malformed', 'Name either a group or a person. Nobody was asked.')
      await approvals.handOver(id, viewer, group === '' ? { issuer: viewer.issuer, subject } : { group }, note)
    }),

    /** What a passkey is to sign, for a yes that is about to be sent. */
    async challenge(request: IncomingMessage, response: ServerResponse, id: string): Promise<void> {
      const { session, form } = await formOf(request)
      const hold = await show(id, session.viewer)
      const yes = await looked(hold, parseVoteForm(form), session.viewer)
      const obstacle = approvals.obstacle(hold, session.viewer)
      if (obstacle !== undefined) throw new Refusal(obstacle, obstacles[obstacle])
      if (hold.state !== 'pending') throw new Refusal('already-settled', 'This is decided already.')
      if ((await signing.lack(hold, session))?.lacks !== 'signature') throw new Refusal('assurance-too-low', 'A passkey is not what is lacking.')
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(await signing.begin(hold, session, yes)))
    },
  }
}
