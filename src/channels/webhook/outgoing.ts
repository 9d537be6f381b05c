import type { Channel } from '../../approval/channel.ts'
import { makeAdvisor } from './advisor.ts'
import type { OutgoingOptions } from './options.ts'
import { makePagerDuty } from './pagerduty.ts'
import type { SigningKey } from './signing.ts'
import { makeWebhook } from './webhook.ts'

export const makeOutgoing = (options: OutgoingOptions, consoleUrl: () => string, deploymentKey: SigningKey): Channel =>
  options.kind === 'pagerduty' ? makePagerDuty(options, consoleUrl) : options.kind === 'advisor' ? makeAdvisor(options, consoleUrl, deploymentKey) : makeWebhook(options, consoleUrl, deploymentKey)
