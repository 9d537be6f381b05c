import { z } from 'zod'
import type { Channel, Showing } from '../../approval/channel.ts'
import type { Log } from '../../lib/log.ts'
import { Busy } from '../../lib/receiver.ts'
import { isOpen, type Hold } from '../../model/hold.ts'
import { makeDelivery, type Delivery } from '../delivery.ts'
import { concerns } from '../interest.ts'
import type { Payload } from '../options.ts'
import { occasionText } from '../words.ts'
import { paragraph } from './blocks.ts'
import { makeCard, type Card } from './card.ts'
import type { SlackOptions } from './options.ts'
import { makePace } from './pace.ts'
import { makeSlackApi, SlackNo, type SlackApi } from './slack-api.ts'

/** Where a message stands. */
export interface Copy {
  readonly channel: string
  readonly ts: string
}

const copyShape = z.object({ channel: z.string().min(1), ts: z.string().min(1) })

/** Slack takes about one message a second in one conversation. */
const apartMs = 1_000
/** How long it is believed that a conversation is still not shared with others. */
const believedMs = 600_000
/** What it says of blocks that it does not know or like. */
const untaken: ReadonlySet<string> = new Set(['invalid_blocks', 'invalid_blocks_format', 'msg_blocks_too_long', 'msg_too_long'])
/** Somebody has deleted it, or it cannot be changed any more. */
const gone: ReadonlySet<string> = new Set(['message_not_found', 'cant_update_message', 'edit_window_closed', 'channel_not_found'])

const [second, minute] = [1_000, 60_000]

/** A channel, and the way to its conversation for whoever answers clicks there. */
export interface SlackChannel extends Channel {
  readonly options: SlackOptions
  readonly api: SlackApi
  readonly delivery: Delivery
}

export const isSlackChannel = (channel: Channel): channel is SlackChannel => channel.kind === 'slack'

/** One message for each hold, kept up to date until its result stands in it. */
export const makeSlack = (options: SlackOptions, consoleUrl: () => string, log: Log, pacedMs = apartMs): SlackChannel => {
  const delivery = makeDelivery(options)
  const api = makeSlackApi(options, options.token, delivery)
  const pace = makePace(pacedMs)
  const isOurs = makeSharedCheck(options, api)

  const call = async (method: string, values: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> => {
    await pace.turn(signal)
    try {
      return await api.call(method, values, signal)
    } catch (error) {
      if (error instanceof Busy) pace.rest(error.retryAfterMs)
      throw error
    }
  }

  const cardOf = ({ hold, alike }: Showing, payload: Payload): Card => makeCard(hold, { payload, consoleUrl: consoleUrl(), interactive: options.interactivity !== undefined && concerns(options.interest, hold) }, alike)

  /** A card that Slack does not take must not hide the hold: then it is told that there is one, and where to look at it. */
  const say = async (method: string, values: Readonly<Record<string, unknown>>, showing: Showing, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> => {
    const { hold } = showing
    try {
      return await call(method, { ...values, ...cardOf(showing, options.payload) }, signal)
    } catch (error) {
      if (!(error instanceof SlackNo) || !untaken.has(error.code) || options.payload === 'none') throw error
      log.warn({ channel: options.name, hold: hold.id, cause: error.message }, 'Slack does not take the card of a hold: it is told without what it is')
      return await call(method, { ...values, ...cardOf(showing, 'none') }, signal)
    }
  }

  const post = async (showing: Showing, signal: AbortSignal): Promise<string> => {
    await isOurs(signal)
    const { channel, ts } = copyShape.parse(await say('chat.postMessage', { channel: options.conversation, unfurl_links: false, unfurl_media: false }, showing, signal))
    return JSON.stringify({ channel, ts } satisfies Copy)
  }

  /** A message that changes tells nobody that it has. */
  const reply = async ({ channel, ts }: Copy, { code }: Hold, said: string, signal: AbortSignal): Promise<void> => {
    await call('chat.postMessage', { channel, thread_ts: ts, reply_broadcast: true, text: `News of ${code}`, blocks: [paragraph(`${code}: ${said}`)] }, signal).catch((error: unknown) => {
      if (!(error instanceof SlackNo)) throw error
      log.warn({ channel: options.name, cause: error.message }, 'a reply to the message of a hold could not be posted')
    })
  }

  /** `false`: it is not there any more. */
  const update = async (copy: Copy, showing: Showing, signal: AbortSignal): Promise<boolean> => {
    try {
      await say('chat.update', { ...copy }, showing, signal)
      return true
    } catch (error) {
      if (!(error instanceof SlackNo) || !gone.has(error.code)) throw error
      log.warn({ channel: options.name, hold: showing.hold.id, cause: error.message }, 'the message of a hold is not there any more')
      return false
    }
  }

  const show = async (showing: Showing, signal: AbortSignal): Promise<string | undefined> => {
    const { hold, memory, occasion } = showing
    const copy = readCopy(memory)
    const said = occasionText(hold, occasion)
    if (copy === undefined) return isOpen(hold.state) || said !== undefined ? await post(showing, signal) : memory
    // Whoever deletes the message must not hide the hold.
    if (!(await update(copy, showing, signal))) return hold.state === 'pending' || said !== undefined ? await post(showing, signal) : memory
    if (said !== undefined) await reply(copy, hold, said, signal)
    return memory
  }

  return {
    name: options.name,
    kind: options.kind,
    redraws: true,
    options,
    api,
    delivery,
    retriesMs: [5 * second, 15 * second, 30 * second, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute, 60 * minute],
    timeoutMs: options.timeoutMs,
    groupWithinMs: options.groupWithinMs ?? 0,
    concerns: (hold) => concerns(options.interest, hold),
    show,
    [Symbol.asyncDispose]: () => delivery[Symbol.asyncDispose](),
  }
}

const readCopy = (memory: string | undefined): Copy | undefined => {
  const read = memory === undefined ? undefined : copyShape.safeParse(JSON.parse(memory))
  return read?.success ? read.data : undefined
}

/** Rejects where people of another company read along and nobody has said that they may. */
const makeSharedCheck = ({ conversation, sharedChannel }: SlackOptions, api: SlackApi): ((signal: AbortSignal) => Promise<void>) => {
  let believedUntil = 0
  return async (signal) => {
    if (sharedChannel || performance.now() < believedUntil) return
    const about = await api.call('conversations.info', { channel: conversation }, signal)
    const { is_ext_shared: shared, is_pending_ext_shared: invited } = z.object({ is_ext_shared: z.boolean().optional(), is_pending_ext_shared: z.boolean().optional() }).parse(about['channel'])
    if (shared === true || invited === true) throw new Error('the conversation is shared with another company, and shared-channel does not say that it may be')
    believedUntil = performance.now() + believedMs
  }
}
