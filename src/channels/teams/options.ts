import type { Secret } from '../../lib/secret.ts'
import type { ChannelOptions, Payload } from '../options.ts'

/** Cards into a chat, by a Workflows hook. Nothing comes back. */
export type TeamsWebhookOptions = ChannelOptions & {
  readonly kind: 'teams-webhook'
  /** Whoever knows it can post there. */
  readonly url: Secret
  readonly payload: Payload
}

/** Cards that people decide on, by a bot of the company's own. */
export type TeamsBotOptions = ChannelOptions & {
  readonly kind: 'teams-bot'
  readonly appId: string
  readonly appSecret: Secret
  readonly tenant: string
  /** The issuer, as callers carry it, whose accounts the people of the tenant are. */
  readonly issuer: string
  readonly conversation: string
  readonly serviceUrl: string
  readonly payload: Payload
  /** How old a person's last login may be for their groups to count. */
  readonly groupsMaxAgeMs: number
  readonly connector: Connector
}

/** Whose word counts that something comes from the Bot Connector, and where our own is sent. */
export interface Connector {
  readonly issuer: string
  readonly jwksUrl: string
  readonly tokenUrl: string
  readonly scope: string
  /** Hosts that may get our token; `*.` stands for any one label and more. */
  readonly serviceHosts: readonly string[]
}

export type TeamsOptions = TeamsWebhookOptions | TeamsBotOptions
