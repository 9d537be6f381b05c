import type { Secret } from '../../lib/secret.ts'
import type { ChannelOptions, Payload } from '../options.ts'

export type WebhookOptions = ChannelOptions & {
  readonly kind: 'webhook'
  readonly url: string
  readonly payload: Payload
  /** All of them sign each message: old and new while a receiver changes over. None: the key of the deployment does. */
  readonly secrets: readonly Secret[]
}

/** Asked what it thinks, like a webhook; its answer is shown. */
export type AdvisorOptions = Omit<WebhookOptions, 'kind'> & { readonly kind: 'advisor' }

export type PagerDutyOptions = ChannelOptions & {
  readonly kind: 'pagerduty'
  readonly url: string
  readonly routingKey: Secret
  readonly severity: 'critical' | 'error' | 'warning' | 'info'
}

export type OutgoingOptions = WebhookOptions | AdvisorOptions | PagerDutyOptions
