import type { Logger } from 'pino'
import type { Channel } from '../approval/channel.ts'
import { makeSlack } from '../channels/slack/slack.ts'
import { makeTeamsBot } from '../channels/teams/bot.ts'
import { makeTeamsWebhook } from '../channels/teams/workflow.ts'
import { makeOutgoing } from '../channels/webhook/outgoing.ts'
import type { ChannelConfig } from '../config/channels.ts'
import type { Config } from '../config/config.ts'
import { linkKeys, webhookKey } from '../config/deployment-keys.ts'
import type { Identity } from '../identity/identity.ts'
import { makeLinkTickets } from '../identity/link-ticket.ts'
import { makeLinks } from '../identity/links.ts'
import type { LinkStore } from '../identity/link-store.ts'
import { makeSealing } from '../lib/sealing.ts'

export const makeChannel = (options: ChannelConfig, consoleUrl: () => string, config: Config, log: Logger): Channel => {
  if (options.kind === 'slack') return makeSlack(options, consoleUrl, log)
  if (options.kind === 'teams-webhook') return makeTeamsWebhook(options, consoleUrl)
  if (options.kind === 'teams-bot') return makeTeamsBot(options, consoleUrl, log)
  return makeOutgoing(options, consoleUrl, { kind: 'ed25519', key: webhookKey(config) })
}

/** Whether people decide in it, so that it has to be known who they are. */
export const isChat = (options: ChannelConfig): boolean => options.kind === 'teams-bot' || (options.kind === 'slack' && options.interactivity !== undefined)

/** How a chat's people are known to us, and where they say who they are. */
export const openChats = (store: LinkStore, config: Config, identity: Identity, now: () => number) => {
  const sealing = makeSealing(linkKeys(config))
  const workspaces = new Set(config.channels.flatMap((options) => (options.kind === 'slack' ? options.workspaces : [])))
  return { links: makeLinks({ store, sealing, identity, now }), tickets: makeLinkTickets(sealing, now), workspaces: [...workspaces].map((workspace) => ({ chat: 'slack' as const, workspace })) }
}
