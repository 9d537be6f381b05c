import { makeOutbound } from '../../identity/outbound.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import type { Hook } from '../hook.ts'
import { makeActivityReader } from './activity.ts'
import type { TeamsBot } from './bot.ts'
import { makeClicks, type Answer, type ClickParts } from './clicks.ts'

export interface ActivitiesParts extends ClickParts {
  readonly note: (event: Extract<AuditEvent, { type: 'vote-refused' | 'authentication-failed' }>) => void
  readonly now: () => number
}

/** What the Connector posts about a click is a few thousand bytes; strangers get to fill no more. */
const mostBytes = 64 * 1024

/** How Teams is told: by the status inside of the answer. */
const said = (answer: Answer): object =>
  'card' in answer ? { statusCode: 200, type: 'application/vnd.microsoft.card.adaptive', value: answer.card } : { statusCode: 200, type: 'application/vnd.microsoft.activity.message', value: answer.message }

/** Where the Bot Connector posts what happens in the conversations of our bots. */
export const makeActivities = (bots: readonly TeamsBot[], parts: ActivitiesParts): Hook & AsyncDisposable => {
  const stop = new AbortController()
  const outbound = makeOutbound(undefined)
  const read = makeActivityReader(bots.map(({ options: { appId, connector } }) => ({ appId, connector })), { fetch: outbound.fetch, now: parts.now, signal: stop.signal, note: parts.note })
  const click = makeClicks(bots, parts)
  return {
    path: '/teams/activities',
    mostBytes,
    async answer(post) {
      const activity = await read(post)
      if (activity.type === 'invoke' && activity.name === 'adaptiveCard/action') return { status: 200, body: said(await click(activity)) }
      if (activity.type === 'invoke') return { status: 501 }
      // Somebody has added the bot somewhere, or speaks to it: what is needed to configure that conversation.
      parts.log.info({ app: activity.app, conversation: activity.conversation.id, service: activity.serviceUrl, tenants: activity.tenants }, 'a conversation of the Teams bot')
      return { status: 200 }
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await outbound[Symbol.asyncDispose]()
    },
  }
}
