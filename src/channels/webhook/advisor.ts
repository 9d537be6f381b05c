import { z } from 'zod'
import type { Channel } from '../../approval/channel.ts'
import { makeDelivery } from '../delivery.ts'
import { concerns } from '../interest.ts'
import { messageId, messageOf } from './message.ts'
import type { AdvisorOptions } from './options.ts'
import { signatures, type SigningKey } from './signing.ts'
import { signingKeys } from './webhook.ts'

/** Far more than is kept of it. */
const answer = z.looseObject({ opinion: z.string().min(1).max(32_000) })

/**
 * A program or a model that is asked what it thinks of a hold, by a signed message. What it answers is shown to people as the words of a machine, and is no vote:
 * nothing here can make one.
 */
export const makeAdvisor = (options: AdvisorOptions, consoleUrl: () => string, deploymentKey: SigningKey): Channel => {
  const keys = signingKeys(options, deploymentKey)
  const delivery = makeDelivery(options)
  return {
    name: options.name,
    kind: options.kind,
    advises: true,
    retriesMs: [5_000, 30_000],
    timeoutMs: options.timeoutMs,
    concerns: (hold) => concerns(options.interest, hold),
    async show(showing, signal) {
      // Once, and only while there is somebody to read it.
      if (showing.memory !== undefined || showing.hold.state !== 'pending') return showing.memory
      const asked = { hold: showing.hold, occasion: 'change' as const }
      const body = messageOf({ ...asked, memory: undefined }, options.payload, consoleUrl())
      const id = messageId(asked)
      const timestamp = Math.floor(Date.now() / 1_000)
      const text = await delivery.send({ method: 'POST', url: options.url, headers: { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signatures(keys, id, timestamp, body) }, body }, signal)
      return answer.parse(JSON.parse(text)).opinion
    },
    [Symbol.asyncDispose]: () => delivery[Symbol.asyncDispose](),
  }
}
