import { z } from 'zod'
import { causeText } from '../../model/refusal.ts'
import { makeDelivery } from '../delivery.ts'
import type { Finding } from '../options.ts'
import { neededScopes } from './manifest.ts'
import type { SlackOptions } from './options.ts'
import { makeSlackApi, type Answer } from './slack-api.ts'
import { isSocketUrl } from './socket.ts'

const conversation = z.object({ name: z.string().optional(), is_member: z.boolean().optional(), is_archived: z.boolean().optional(), is_ext_shared: z.boolean().optional() })

/** Asks Slack whether a channel would work, without posting anything. Rejects only for bugs. */
export const checkSlack = async (options: SlackOptions, signal: AbortSignal): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  const find = (ok: boolean, text: string): void => void findings.push({ ok, text })
  await using delivery = makeDelivery(options)
  let scopes: readonly string[] | undefined
  const api = makeSlackApi(options, options.token, { send: (message, until) => delivery.send(message, until, (headers) => void (scopes = listOf(headers['x-oauth-scopes']) ?? scopes)) })
  const ask = async (what: string, work: () => Promise<Answer>, then: (answer: Answer) => void): Promise<boolean> => {
    try {
      then(await work())
      return true
    } catch (error) {
      find(false, `${what}: ${causeText(error) ?? 'unknown'}`)
      return false
    }
  }

  const good = await ask('the bot token', () => api.call('auth.test', {}, signal), ({ team, team_id: id }) => find(true, `the bot token is good, in the workspace ${String(team)} (${String(id)})`))
  if (good) {
    const missing = neededScopes.filter((scope) => scopes !== undefined && !scopes.includes(scope))
    find(missing.length === 0, missing.length === 0 ? 'the bot token has the scopes that it needs' : `the bot token lacks the scopes ${missing.join(', ')}: add them, and install the app anew`)
    await ask(`the conversation ${options.conversation}`, () => api.call('conversations.info', { channel: options.conversation }, signal), ({ channel }) => {
      const { name = options.conversation, is_member: member, is_archived: archived, is_ext_shared: shared } = conversation.parse(channel)
      if (archived === true) find(false, `#${name} is archived`)
      else find(member === true, member === true ? `the bot is a member of #${name}` : `the bot is no member of #${name}: invite it there`)
      if (shared === true && !options.sharedChannel) find(false, `#${name} is shared with another company, and shared-channel does not say that it may be`)
    })
  }
  const { interactivity } = options
  if (interactivity === undefined) find(true, 'clicks are not taken: nobody decides here')
  else if (interactivity.by === 'http') find(true, 'clicks come by HTTP: whether they arrive, only a click can tell (lastClickAt in the health answer)')
  else {
    const app = makeSlackApi(options, interactivity.appToken, delivery)
    await ask('the app token', () => app.call('apps.connections.open', {}, signal), ({ url }) => find(isSocketUrl(String(url), options.url), isSocketUrl(String(url), options.url) ? 'the app token opens connections for clicks' : 'the app token leads to a connection that is not in Slack’s own domain'))
  }
  return findings
}

const listOf = (header: string | readonly string[] | undefined): readonly string[] | undefined => (typeof header === 'string' ? header.split(',').map((scope) => scope.trim()) : undefined)
