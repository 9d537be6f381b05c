import { z } from 'zod'
import type { Channel, Showing } from '../../approval/channel.ts'
import type { Log } from '../../lib/log.ts'
import { isOpen, type Hold } from '../../model/hold.ts'
import { Declined, makeDelivery } from '../delivery.ts'
import { concerns } from '../interest.ts'
import { occasionText, stateText } from '../words.ts'
import { cardOf } from './card.ts'
import { makeConnector, type Connector, type Copy, type Message } from './connector.ts'
import type { TeamsBotOptions } from './options.ts'
import { chatRetriesMs } from './workflow.ts'

const copyShape = z.object({ conversation: z.string().min(1), activity: z.string().min(1) })

/** A conversation and the way out to it. */
export interface TeamsBot extends Channel {
  readonly options: TeamsBotOptions
  readonly connector: Connector
  /** The card of a hold as it is now. */
  messageOf(hold: Hold, alike?: number): Message
}

/** One message for each hold, brought up to date until its result stands in it. */
export const makeTeamsBot = (options: TeamsBotOptions, consoleUrl: () => string, log: Log): TeamsBot => {
  const delivery = makeDelivery(options)
  const connector = makeConnector(options, delivery)
  const messageOf = (hold: Hold, alike = 0): Message => ({ card: cardOf({ hold, alike, payload: options.payload, consoleUrl: consoleUrl(), decides: concerns(options.interest, hold) }), summary: `${stateText(hold.state)}: ${hold.code}` })

  const post = async ({ hold, alike }: Showing, signal: AbortSignal): Promise<string> => JSON.stringify(await connector.post(options.conversation, messageOf(hold, alike), signal))

  /** Whether the message is still there. */
  const update = async (copy: Copy, { hold, alike }: Showing, signal: AbortSignal): Promise<boolean> => {
    try {
      await connector.update(copy, messageOf(hold, alike), signal)
      return true
    } catch (error) {
      if (!(error instanceof Declined) || error.status !== 404) throw error
      log.warn({ channel: options.name, hold: hold.id, conversation: copy.conversation }, 'the message of a hold is not there any more')
      return false
    }
  }

  const show = async (showing: Showing, signal: AbortSignal): Promise<string | undefined> => {
    const { hold, occasion, memory } = showing
    const copy = readCopy(memory)
    const said = occasionText(hold, occasion)
    if (copy === undefined) return isOpen(hold.state) || said !== undefined ? await post(showing, signal) : memory
    // Whoever deletes the message must not hide the hold.
    if (!(await update(copy, showing, signal))) return hold.state === 'pending' || said !== undefined ? await post(showing, signal) : memory
    // A message that changes tells nobody that it has.
    if (said !== undefined) await connector.reply(copy, `${hold.code}: ${said}`, signal)
    return memory
  }

  return {
    options,
    connector,
    messageOf,
    name: options.name,
    kind: options.kind,
    redraws: true,
    retriesMs: chatRetriesMs,
    timeoutMs: options.timeoutMs,
    groupWithinMs: options.groupWithinMs ?? 0,
    concerns: (hold) => concerns(options.interest, hold),
    show,
    [Symbol.asyncDispose]: () => delivery[Symbol.asyncDispose](),
  }
}

export const isTeamsBot = (channel: Channel): channel is TeamsBot => channel.kind === 'teams-bot'

const readCopy = (memory: string | undefined): Copy | undefined => {
  const read = memory === undefined ? undefined : copyShape.safeParse(JSON.parse(memory))
  return read?.success === true ? read.data : undefined
}
