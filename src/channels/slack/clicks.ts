import type { Approvals } from '../../approval/approvals.ts'
import { isDistrust } from '../../approval/distrust.ts'
import { shortCode } from '../../approval/hold-name.ts'
import { obstacles, takenThrough } from '../../approval/no.ts'
import { channelsFor, takesYes } from '../../approval/assurance.ts'
import type { Log } from '../../lib/log.ts'
import { isPlainText } from '../../lib/visible.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import type { Caller, Principal } from '../../model/caller.ts'
import type { Hold } from '../../model/hold.ts'
import { causeText, Refusal, type RefusalCode } from '../../model/refusal.ts'
import { concerns } from '../interest.ts'
import { answerBlocks, isDecidable, makeCard, shownName, untrustedCard, type CardStyle } from './card.ts'
import { checkClicker, strangerOf, type ClickerCheckParts } from './clicker-check.ts'
import type { Interaction } from './interaction.ts'
import type { SlackOptions } from './options.ts'
import type { SlackApi } from './slack-api.ts'
import { noticeWindow, reasonWindow } from './windows.ts'

/** One configured conversation, and the way back to it. */
export interface Conversation {
  readonly options: SlackOptions
  readonly api: SlackApi
}

export interface ClickParts extends ClickerCheckParts {
  readonly approvals: Pick<Approvals, 'vote' | 'show' | 'obstacle'>
  readonly note: (event: Extract<AuditEvent, { type: 'vote-refused' }>) => void
  readonly log: Log
}

/** What Slack is told about a window that was sent off; `undefined`: it closes, or there was none. */
export type Response = Readonly<Record<string, unknown>> | undefined

export interface Clicks extends AsyncDisposable {
  /** Resolves when the click is decided on. Rejects where that was not possible: then Slack must not hear that it arrived. */
  take(interaction: Interaction, conversations: readonly Conversation[]): Promise<Response>
}

/** Slack waits three seconds. */
const decideWithinMs = 2_500
const answerWithinMs = 10_000
const mostAnswers = 200

/** Passes: whoever clicked is to click again. */
const passing: ReadonlySet<RefusalCode> = new Set(['store-unavailable', 'journal-unavailable', 'record-unconfirmed', 'identity-unavailable', 'draining'])
/** The message does not show how it stands. */
const outdated: ReadonlySet<RefusalCode> = new Set(['already-settled', 'wrong-digest', 'hold-expired'])

interface No {
  readonly text: string
  readonly link?: { readonly text: string; readonly url: string } | undefined
}

export const makeClicks = (parts: ClickParts): Clicks => {
  const { approvals, consoleUrl, note, log } = parts
  const answers = new Set<Promise<void>>()
  const styleOf = ({ payload, interactivity }: SlackOptions): CardStyle => ({ payload, consoleUrl: consoleUrl(), interactive: interactivity !== undefined })

  /** What is said to the one who clicked, and drawn anew, keeps nobody waiting. */
  const later = (what: string, work: (signal: AbortSignal) => Promise<unknown>): void => {
    if (answers.size >= mostAnswers) return log.warn({ what }, 'too many answers to clicks are under way')
    const answer = work(AbortSignal.timeout(answerWithinMs)).then(() => {}, (error: unknown) => log.warn({ cause: causeText(error) }, what)).finally(() => answers.delete(answer))
    answers.add(answer)
  }

  const whisper = ({ who, copy }: Interaction, { api }: Conversation, { text, link }: No): void =>
    later('an answer to a click did not arrive', (signal) => api.call('chat.postEphemeral', { channel: copy.channel, user: who.user, text: 'Nothing was decided.', blocks: answerBlocks(text, link) }, signal))

  const refuse = (interaction: Interaction, conversation: Conversation, no: No): Response => {
    if (interaction.kind === 'submission') {
      if (no.link !== undefined) whisper(interaction, conversation, no)
      return { response_action: 'update', view: noticeWindow(no.text) }
    }
    whisper(interaction, conversation, no)
    return undefined
  }

  const record = ({ about }: Interaction, by: Principal, refusal: RefusalCode, cause: string): void => {
    const { issuer, subject, kind, groups } = by
    note({ type: 'vote-refused', hold: about.hold, code: shortCode(about.digest), digest: about.digest, by: { issuer, subject, kind, groups }, refusal, cause: `slack: ${cause}` })
  }

  const review = (hold: string): NonNullable<No['link']> => ({ text: 'Open full review', url: `${consoleUrl()}/holds/${hold}` })

  /** Why a yes or no of this person does not count by this click; `undefined`: it may. */
  const hindrance = (hold: Hold, person: Caller, { verdict, about }: Interaction, options: SlackOptions): { readonly code: RefusalCode; readonly text: string } | undefined => {
    if (!concerns(options.interest, hold)) return { code: 'not-eligible', text: 'This conversation does not hear of such actions, so they are not decided here. Look at it in the console.' }
    if (about.digest !== hold.action.digest) return undefined // the vote itself says it
    const obstacle = approvals.obstacle(hold, person)
    if (obstacle !== undefined && !(obstacle === 'already-voted' && verdict === 'deny')) return { code: obstacle, text: obstacles[obstacle] }
    if (verdict === 'deny') return undefined
    if (!channelsFor(hold.terms, person).includes('slack')) return { code: 'wrong-channel', text: takenThrough(hold) }
    if (!takesYes(hold.terms, 'slack', 'chat')) return { code: 'not-eligible', text: 'A click in a chat is not enough for this. Decide in the console.' }
    return isDecidable({ ...hold, state: 'pending' }, styleOf(options)) ? undefined : { code: 'not-eligible', text: 'Not all of this action is shown here, so it is not approved here. Look at it whole in the console.' }
  }

  const vote = async (interaction: Interaction, conversation: Conversation, person: Caller, hold: Hold): Promise<Response> => {
    const { verdict, about } = interaction
    const reason = interaction.kind === 'submission' ? interaction.reason.trim() : ''
    try {
      await approvals.vote(hold.id, { verdict, digest: about.digest, by: person, channel: 'slack', assurance: 'chat', shown: shownName(hold, conversation.options.payload), ...(reason === '' ? {} : { reason }) })
      return undefined
    } catch (error) {
      if (!(error instanceof Refusal) || passing.has(error.code)) throw error
      if (error.code === 'reason-required' && interaction.kind === 'submission') return wrongReason(error.message)
      if (outdated.has(error.code)) redraw(interaction, conversation, person)
      return refuse(interaction, conversation, { text: error.message, link: review(about.hold) })
    }
  }

  /** A copy that nobody keeps up to date, because its place was forgotten or the update was lost. */
  const redraw = ({ about, copy }: Interaction, { options, api }: Conversation, person: Caller): void =>
    later('an old message could not be drawn anew', async (signal) => {
      const hold = await approvals.show(about.hold, person)
      if (hold.action.digest === about.digest && concerns(options.interest, hold)) await api.call('chat.update', { ...copy, ...makeCard(hold, styleOf(options)) }, signal)
    })

  /** Nobody decides by a message about a record that is not what was written: it says so from now on. */
  const distrust = (interaction: Interaction, conversation: Conversation, { message }: Refusal): Response => {
    const { about, copy } = interaction
    later('a message about a record that is not trusted could not be changed', (signal) => conversation.api.call('chat.update', { ...copy, ...untrustedCard(shortCode(about.digest), message, review(about.hold)) }, signal))
    return refuse(interaction, conversation, { text: message, link: review(about.hold) })
  }

  const visibleTo = async (person: Caller, id: string): Promise<Hold | undefined> => {
    try {
      return await approvals.show(id, person)
    } catch (error) {
      if (error instanceof Refusal && error.code === 'not-found') return undefined
      throw error
    }
  }

  const decide = async (interaction: Interaction, conversation: Conversation, signal: AbortSignal): Promise<Response> => {
    const { who, about, verdict, copy } = interaction
    const { options, api } = conversation
    const standing = await checkClicker(who, options, api, parts, signal)
    if ('no' in standing) {
      record(interaction, strangerOf(who), standing.no, standing.cause)
      return refuse(interaction, conversation, standing)
    }
    const { person } = standing
    const hold = await visibleTo(person, about.hold)
    const hindered = hold === undefined ? { code: 'not-eligible' as const, text: obstacles['not-eligible'] } : hindrance(hold, person, interaction, options)
    if (hold === undefined || hindered !== undefined) {
      const { code, text } = hindered ?? { code: 'not-eligible' as const, text: obstacles['not-eligible'] }
      record(interaction, person, code, text)
      if (hold !== undefined && hold.state !== 'pending') redraw(interaction, conversation, person)
      return refuse(interaction, conversation, { text, link: review(about.hold) })
    }
    const asks = interaction.kind === 'click' && (verdict === 'deny' || hold.terms.askReason) && hold.state === 'pending' && about.digest === hold.action.digest
    if (!asks) return await vote(interaction, conversation, person, hold)
    later('a window could not be opened', (open) => api.call('views.open', { trigger_id: interaction.trigger, view: reasonWindow(hold, verdict, copy, options.payload) }, open))
    return undefined
  }

  return {
    async take(interaction, conversations) {
      const conversation = conversations.find(({ options }) => options.conversation === interaction.copy.channel)
      if (conversation === undefined) {
        log.warn({ conversation: interaction.copy.channel }, 'a click came from a conversation that is not configured')
        return interaction.kind === 'submission' ? { response_action: 'update', view: noticeWindow('This is not a conversation in which anything is decided.') } : undefined
      }
      if (interaction.kind === 'submission' && !isPlainText(interaction.reason)) return wrongReason('A reason holds no control or invisible characters.')
      try {
        return await decide(interaction, conversation, AbortSignal.timeout(decideWithinMs))
      } catch (error) {
        if (error instanceof Refusal && isDistrust(error)) return distrust(interaction, conversation, error)
        throw error
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(answers)
    },
  }
}

const wrongReason = (text: string): Response => ({ response_action: 'errors', errors: { reason: text } })
