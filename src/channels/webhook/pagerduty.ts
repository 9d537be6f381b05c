import type { Channel, Showing } from '../../approval/channel.ts'
import { defined } from '../../lib/defined.ts'
import { cutAt, visibleRaw } from '../../lib/visible.ts'
import { reviewDue } from '../../approval/marks.ts'
import type { Hold } from '../../model/hold.ts'
import { makeDelivery } from '../delivery.ts'
import { concerns, holdUrl, listUrl } from '../interest.ts'
import { alikeText } from '../words.ts'
import type { PagerDutyOptions } from './options.ts'

const longestSummary = 1_024
const [second, minute] = [1_000, 60_000]

/** `broken`: it was released in an emergency, and nobody has looked at that yet. */
type Incident = 'trigger' | 'broken' | 'resolve'

/** An incident that is there for as long as a hold is undecided, or a broken glass not reviewed. To acknowledge it is no decision. */
export const makePagerDuty = (options: PagerDutyOptions, consoleUrl: () => string): Channel => {
  const delivery = makeDelivery(options)

  const event = (hold: Hold, wanted: Incident, alike: number): string => {
    const url = holdUrl(consoleUrl(), hold)
    return JSON.stringify({
      routing_key: options.routingKey.reveal(),
      event_action: wanted === 'resolve' ? 'resolve' : 'trigger',
      dedup_key: hold.id,
      client: 'Countersign',
      client_url: url,
      links: [{ href: url, text: `${wanted === 'broken' ? 'Review' : 'Decide on'} ${hold.code}` }, ...(alike > 0 ? [{ href: listUrl(consoleUrl()), text: 'All that wait' }] : [])],
      payload: {
        summary: cutAt(visibleRaw(`${hold.code}: ${wanted === 'broken' ? 'GLASS BROKEN, to be reviewed: ' : ''}${hold.caller.subject} asks for ${hold.action.verb} on ${hold.action.service}${alike > 0 ? `. ${alikeText(alike)}` : ''}`), longestSummary).text,
        source: hold.action.service,
        severity: options.severity,
        timestamp: new Date(hold.openedAt).toISOString(),
        component: hold.action.service,
        class: hold.action.verb,
        custom_details: { code: hold.code, digest: hold.action.digest, deadline: new Date(hold.deadline).toISOString(), tags: hold.action.tags, ...defined({ estimatedRows: hold.action.impact?.estimatedRows, alike: alike > 0 ? alike : undefined }) },
      },
    })
  }

  const show = async ({ hold, occasion, memory, alike = 0 }: Showing, signal: AbortSignal): Promise<string | undefined> => {
    const wanted: Incident = reviewDue(hold) !== undefined ? 'broken' : hold.state === 'pending' ? 'trigger' : 'resolve'
    // What has the same key stays one incident, and nobody is called again.
    if (occasion === 'reminder' || (memory === wanted && occasion !== 'alike') || (wanted === 'resolve' && memory === undefined)) return memory
    await delivery.send({ method: 'POST', url: options.url, body: event(hold, wanted, alike) }, signal)
    return wanted
  }

  return {
    name: options.name,
    kind: options.kind,
    retriesMs: [5 * second, 15 * second, minute, 5 * minute, 15 * minute, 60 * minute],
    timeoutMs: options.timeoutMs,
    groupWithinMs: options.groupWithinMs ?? 0,
    concerns: (hold) => concerns(options.interest, hold),
    show,
    [Symbol.asyncDispose]: () => delivery[Symbol.asyncDispose](),
  }
}
