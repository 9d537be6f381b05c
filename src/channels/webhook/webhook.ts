import type { Channel } from '../../approval/channel.ts'
import { makeDelivery } from '../delivery.ts'
import { concerns } from '../interest.ts'
import { messageId, messageOf } from './message.ts'
import type { WebhookOptions } from './options.ts'
import { readSigningKey, signatures, type SigningKey } from './signing.ts'

export const signingKeys = ({ name, secrets }: Pick<WebhookOptions, 'name' | 'secrets'>, deploymentKey: SigningKey): readonly SigningKey[] => {
  if (secrets.length === 0) return [deploymentKey]
  return secrets.map((secret) => {
    const key = readSigningKey(secret.reveal())
    if (key === undefined) throw new Error(`the secret of the channel ${name} is no key of a webhook`)
    return key
  })
}

const minute = 60_000
const hour = 60 * minute

/** Signed messages to somebody's endpoint, by Standard Webhooks. Nothing that it answers decides anything. */
export const makeWebhook = (options: WebhookOptions, consoleUrl: () => string, deploymentKey: SigningKey): Channel => {
  const keys = signingKeys(options, deploymentKey)
  const delivery = makeDelivery(options)
  return {
    name: options.name,
    kind: options.kind,
    retriesMs: [5_000, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour],
    timeoutMs: options.timeoutMs,
    groupWithinMs: options.groupWithinMs ?? 0,
    concerns: (hold) => concerns(options.interest, hold),
    async show(showing, signal) {
      const body = messageOf(showing, options.payload, consoleUrl())
      const id = messageId(showing)
      const timestamp = Math.floor(Date.now() / 1_000)
      await delivery.send({ method: 'POST', url: options.url, headers: { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signatures(keys, id, timestamp, body) }, body }, signal)
      return undefined
    },
    [Symbol.asyncDispose]: () => delivery[Symbol.asyncDispose](),
  }
}
