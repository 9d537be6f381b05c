import { z } from 'zod'
import type { Approvals } from '../../approval/approvals.ts'
import { isDistrust } from '../../approval/distrust.ts'
import { isHoldId, shortCode } from '../../approval/hold-name.ts'
import { channelsFor } from '../../approval/assurance.ts'
import { obstacles, takenThrough } from '../../approval/no.ts'
import type { Links } from '../../identity/links.ts'
import type { Log } from '../../lib/log.ts'
import { isPlainText } from '../../lib/visible.ts'
import type { Digest } from '../../model/action.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import type { Caller, Party } from '../../model/caller.ts'
import type { Hold } from '../../model/hold.ts'
import { causeText, Refusal, type RefusalCode } from '../../model/refusal.ts'
import type { Activity } from './activity.ts'
import type { TeamsBot } from './bot.ts'
import { offers, reasonIds, shownOn, type Card } from './card.ts'

export interface ClickParts {
  readonly approvals: Pick<Approvals, 'show' | 'vote'>
  readonly links: Pick<Links, 'known' | 'first'>
  readonly consoleUrl: () => string
  readonly note: (event: Extract<AuditEvent, { type: 'vote-refused' }>) => void
  readonly log: Log
}

/** What Teams is to do where somebody has clicked: put this card there, for them alone until the message is brought up to date, or say this to them alone. */
export type Answer = { readonly card: Card } | { readonly message: string }

/** Teams waits ten seconds. */
const lookWithinMs = 4_000
/** Longer than any token that came with it is good. */
const repeatsMs = 86_400_000
const mostReason = 1_000
/** What the chat calls somebody who belongs to the organisation; others are guests, or anonymous. */
const members: ReadonlySet<string> = new Set(['user', 'owner'])

const reasonShape = z.string().max(mostReason).optional()
const clickShape = z.looseObject({
  action: z.looseObject({
    type: z.literal('Action.Execute'),
    verb: z.enum(['approve', 'deny']),
    data: z.looseObject({ hold: z.string().refine(isHoldId), digest: z.string().regex(/^sha256:[0-9a-f]{64}$/), [reasonIds.approve]: reasonShape, [reasonIds.deny]: reasonShape }),
  }),
})

/** Passes: whoever clicked is to click again. */
const passing: ReadonlySet<RefusalCode> = new Set(['store-unavailable', 'journal-unavailable', 'record-unconfirmed', 'identity-unavailable', 'draining'])

interface Click {
  readonly verdict: 'approve' | 'deny'
  readonly hold: string
  readonly digest: Digest
  readonly reason: string
}

/** A no, and what goes into the record about it. */
class NotTaken extends Error {
  readonly code: RefusalCode
  readonly said: string
  constructor(code: RefusalCode, cause: string, said: string) {
    super(cause)
    this.code = code
    this.said = said
  }
}

/** What people do on cards. Whoever clicks is the account of the directory that Teams vouches for, as it was known at its last login. */
export const makeClicks = (bots: readonly TeamsBot[], { approvals, links, consoleUrl, note, log }: ClickParts) => {
  const review = (hold: string): string => `${consoleUrl()}/holds/${hold}`

  const botOf = (activity: Activity): TeamsBot => {
    const place = conversationOf(activity)
    const found = bots.find(({ options }) => options.appId === activity.app && options.conversation === place)
    if (found === undefined) throw new Refusal('denied', 'This conversation is not one in which anything is decided.')
    const { tenant } = found.options
    if (activity.tenants.length === 0 || activity.tenants.some((one) => one !== tenant)) throw new Refusal('denied', 'This is not the organisation that decides here.')
    return found
  }

  /** Nobody but a member of the organisation, whom the chat itself calls by the same account as the click does. */
  const checkMember = async ({ options, connector }: TeamsBot, { from, serviceUrl }: Activity): Promise<void> => {
    const member = await connector.member(serviceUrl, options.conversation, from.id, AbortSignal.timeout(lookWithinMs)).catch((error: unknown) => {
      throw new NotTaken('identity-unavailable', `the chat does not say who this is: ${causeText(error)}`, 'Teams does not say who you are at the moment. Nothing was decided. Try again, or decide in the console.')
    })
    const { object, tenant, principalName, role } = member
    if (object?.toLowerCase() !== from.aadObjectId?.toLowerCase() || tenant?.toLowerCase() !== options.tenant) throw new NotTaken('not-eligible', 'not the member that the conversation knows', 'Only members of this organisation decide here.')
    const isMember = role === undefined ? principalName !== undefined : members.has(role.toLowerCase())
    if (!isMember || /#ext#/i.test(principalName ?? '')) throw new NotTaken('not-eligible', 'a guest', 'Guests do not decide.')
  }

  const personOf = async (bot: TeamsBot, activity: Activity, party: Party): Promise<Caller> => {
    if (activity.from.aadObjectId === undefined) throw new NotTaken('no-identity', 'no account of the directory', 'Teams does not say which account of the directory you have. Decide in the console.')
    await checkMember(bot, activity)
    const person = await links.known(party, bot.options.groupsMaxAgeMs)
    if (person === undefined) throw new NotTaken('no-identity', 'no login lately', `Nobody can say what you may decide: you have not signed in to the console lately. Sign in once at ${consoleUrl()}, then decide here.`)
    return person
  }

  const visibleTo = async (person: Caller, id: string): Promise<Hold> => {
    try {
      return await approvals.show(id, person)
    } catch (error) {
      throw error instanceof Refusal && error.code === 'not-found' ? new NotTaken('not-eligible', 'may not see it', obstacles['not-eligible']) : error
    }
  }

  const vote = async (bot: TeamsBot, person: Caller, { verdict, hold: id, digest, reason }: Click): Promise<Answer> => {
    const hold = await visibleTo(person, id)
    const { card } = bot.messageOf(hold)
    const through = channelsFor(hold.terms, person) // none: they may not decide it at all
    if (verdict === 'approve' && hold.state === 'pending' && hold.action.digest === digest && through.length > 0 && !through.includes('teams')) throw new NotTaken('wrong-channel', 'the rule takes no votes by teams', takenThrough(hold))
    if (hold.state === 'pending' && hold.action.digest === digest && !offers(card, verdict)) throw new NotTaken('not-eligible', `the card has no button to ${verdict} it`, `This cannot be decided here. Open the full review: ${review(id)}`)
    try {
      const voted = await approvals.vote(id, { verdict, digest, by: person, channel: 'teams', assurance: 'chat', ...(verdict === 'approve' ? { shown: shownOn(hold, bot.options.payload) } : {}), ...(reason === '' ? {} : { reason }) })
      return { card: bot.messageOf(voted).card }
    } catch (error) {
      // It was decided meanwhile: the card says how it stands.
      if (error instanceof Refusal && error.code === 'already-settled') return { card: bot.messageOf(await approvals.show(id, person)).card }
      throw error
    }
  }

  /** Answers a click on a card. Throws a `Refusal` for what is not from a place where something is decided. */
  return async (activity: Activity): Promise<Answer> => {
    const bot = botOf(activity)
    const read = clickShape.safeParse(activity.value)
    if (!read.success) throw new Refusal('malformed', 'This is no click on a card of ours.')
    const { verb: verdict, data } = read.data.action
    const { hold, digest } = data
    const reason = data[reasonIds[verdict]] ?? ''
    if (!isPlainText(reason)) return { message: 'A reason holds no control or invisible characters.' }
    if (!(await links.first(`teams ${activity.app} ${activity.conversation.id} ${activity.id}`, repeatsMs))) return { message: 'This has arrived before. Nothing was done a second time.' }
    const { tenant, issuer } = bot.options
    const party: Party = { issuer, subject: `${tenant}/${activity.from.aadObjectId?.toLowerCase() ?? activity.from.id}` }
    try {
      return await vote(bot, await personOf(bot, activity, party), { verdict, hold, digest: digest as Digest, reason: reason.trim() })
    } catch (error) {
      if (error instanceof NotTaken) {
        note({ type: 'vote-refused', hold, code: shortCode(digest as Digest), digest: digest as Digest, by: { ...party, kind: 'human', groups: undefined }, refusal: error.code, cause: `teams: ${error.message}` })
        return { message: error.said }
      }
      if (!(error instanceof Refusal)) throw error
      if (passing.has(error.code)) log.warn({ channel: bot.options.name, cause: causeText(error) }, 'a click could not be decided on')
      return { message: passing.has(error.code) && !isDistrust(error) ? 'This could not be confirmed. Look at how it stands before you try again.' : `${error.message} ${review(hold)}` }
    }
  }
}

/** A thread of a channel is that channel. */
const conversationOf = ({ conversation }: Activity): string => conversation.id.replace(/;messageid=\d+$/, '')
