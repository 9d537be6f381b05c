import type { Channel } from '../../approval/channel.ts'
import type { OutgoingOptions } from './options.ts'
import { makePagerDuty } from './pagerduty.ts'
import type { SigningKey } from './signing.ts'
import { makeWebhook } from './webhook.ts'

export const makeOutgoing = (options: readonly OutgoingOptions[], consoleUrl: () => string, deploymentKey: SigningKey): readonly Channel[] =>
  options.map((one) => (one.kind === 'pagerduty' ? makePagerDuty(one, consoleUrl) : makeWebhook(one, consoleUrl, deploymentKey)))
