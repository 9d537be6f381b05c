import { z } from 'zod'
import { makeOutbound } from '../../identity/outbound.ts'
import { parseStrictJson } from '../../lib/strict-json.ts'
import { causeText } from '../../model/refusal.ts'
import { Declined, makeDelivery } from '../delivery.ts'
import type { Finding } from '../options.ts'
import { fetchKeys } from './activity.ts'
import { makeConnector } from './connector.ts'
import type { TeamsBotOptions } from './options.ts'

const keysShape = z.looseObject({ keys: z.array(z.looseObject({ endorsements: z.array(z.string()).optional() })) })

/** Asks Microsoft whether a bot would work, without posting anything. Rejects only for bugs. */
export const checkTeams = async (options: TeamsBotOptions, signal: AbortSignal): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  await using delivery = makeDelivery(options)
  await using outbound = makeOutbound(undefined)
  const connector = makeConnector(options, delivery)
  const ask = async (good: string, bad: (error: unknown) => string, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work()
      findings.push({ ok: true, text: good })
      return true
    } catch (error) {
      findings.push({ ok: false, text: bad(error) })
      return false
    }
  }
  const because = (what: string) => (error: unknown): string => `${what}: ${causeText(error) ?? 'unknown'}`

  const authorized = await ask('the bot gets a token', because('the bot gets no token; look at app-id, app-secret and tenant'), () => connector.authorize(signal))
  if (authorized) {
    const hint = (error: unknown): string => (error instanceof Declined && (error.status === 403 || error.status === 404) ? `${because('the conversation is not reached')(error)}; add the app to it` : because('the conversation is not reached')(error))
    await ask('the bot is in the conversation', hint, () => connector.reach(options.conversation, signal))
  }
  await ask('keys that sign for Teams are published', because('the keys of the Bot Connector'), async () => {
    const { keys } = keysShape.parse(parseStrictJson(await fetchKeys(options.connector.jwksUrl, outbound.fetch, signal)))
    if (!keys.some(({ endorsements = [] }) => endorsements.includes('msteams'))) throw new Error('none of them is endorsed for msteams')
  })
  findings.push({ ok: true, text: 'clicks come to /teams/activities: whether they arrive, only a click can tell' })
  return findings
}
