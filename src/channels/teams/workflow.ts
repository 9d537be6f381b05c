import type { Channel, Showing } from '../../approval/channel.ts'
import { isOpen } from '../../model/hold.ts'
import { makeDelivery } from '../delivery.ts'
import { concerns } from '../interest.ts'
import { cardOf } from './card.ts'
import type { TeamsWebhookOptions } from './options.ts'

const [second, minute] = [1_000, 60_000]
export const chatRetriesMs: readonly number[] = [5 * second, 15 * second, minute, 5 * minute, 15 * minute, 60 * minute]

/**
 * A card by a Workflows hook: one when a hold opens, one for a reminder and whatever else is said about it, and one for each end. The hook cannot change what it has posted,
 * so what lies between is left to the console.
 */
export const makeTeamsWebhook = (options: TeamsWebhookOptions, consoleUrl: () => string): Channel => {
  const delivery = makeDelivery(options)

  const show = async ({ hold, occasion, memory, alike = 0 }: Showing, signal: AbortSignal): Promise<string | undefined> => {
    const isNews = memory !== hold.state && hold.state !== 'running' && (memory !== undefined || isOpen(hold.state))
    if (occasion === 'alike' || (occasion === 'change' && !isNews)) return memory
    const content = cardOf({ hold, payload: options.payload, consoleUrl: consoleUrl(), decides: false, occasion, alike })
    const body = JSON.stringify({ type: 'message', attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content }] })
    await delivery.send({ method: 'POST', url: options.url.reveal(), body }, signal)
    return hold.state
  }

  return {
    name: options.name,
    kind: options.kind,
    retriesMs: chatRetriesMs,
    timeoutMs: options.timeoutMs,
    groupWithinMs: options.groupWithinMs ?? 0,
    concerns: (hold) => concerns(options.interest, hold),
    show,
    [Symbol.asyncDispose]: () => delivery[Symbol.asyncDispose](),
  }
}
