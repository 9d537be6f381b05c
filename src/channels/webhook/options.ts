import type { Secret } from '../../lib/secret.ts'

/** Which holds it hears of; absent lists leave nothing out. */
export interface Interest {
  readonly services?: readonly string[]
  /** Of the data that the action touches. */
  readonly tags?: readonly string[]
  /** Whose approval is asked. */
  readonly groups?: readonly string[]
}

interface Common {
  readonly name: string
  readonly interest: Interest
  readonly url: string
  readonly timeoutMs: number
  /** Whether the name may resolve to an address inside the company. Loopback, too. */
  readonly privateAddresses: boolean
}

/** How much of a hold leaves the house. `none`: that there is one, and where to look at it. */
export type Payload = 'none' | 'summary' | 'full'

export type WebhookOptions = Common & {
  readonly kind: 'webhook'
  readonly payload: Payload
  /** All of them sign each message: old and new while a receiver changes over. None: the key of the deployment does. */
  readonly secrets: readonly Secret[]
}

export type PagerDutyOptions = Common & {
  readonly kind: 'pagerduty'
  readonly routingKey: Secret
  readonly severity: 'critical' | 'error' | 'warning' | 'info'
}

export type OutgoingOptions = WebhookOptions | PagerDutyOptions
