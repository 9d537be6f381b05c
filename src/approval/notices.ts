import { cutAt } from '../lib/visible.ts'
import type { Hold, HoldState, Opinion, Reach } from '../model/hold.ts'
import type { Desk } from './desk.ts'
import { Tampered } from './seal.ts'

/** What is remembered, beside the hold, of what a channel shows of it: any replica can go on from there. */
export interface Notice {
  /** The newest revision that arrived there; 0: none. */
  readonly revision: number
  readonly at: number
  readonly memory?: string
  readonly reminded?: true
  /** How many marks of the hold it has been told of, and in which state the hold was then. */
  readonly marks?: number
  readonly state?: HoldState
  /** Not told by itself: the message of that hold speaks of it. */
  readonly with?: string
  /** For how many others its message speaks. */
  readonly alike?: number
  /** How many opinions stand there with it. */
  readonly opinions?: number
  /** Tries for the next revision failed. */
  readonly trouble?: 'late' | 'lost'
}

const noticeOf = (channel: string): `notice-${string}` => `notice-${channel}`

export const readNotice = async ({ store, seal }: Pick<Desk, 'store' | 'seal'>, hold: Hold, channel: string): Promise<Notice | undefined> => {
  const sealed = await store.getAttachment(hold.id, noticeOf(channel))
  if (sealed === undefined) return undefined
  try {
    return JSON.parse(Buffer.from(seal.openAttachment(hold, noticeOf(channel), sealed)).toString()) as Notice
  } catch (error) {
    if (error instanceof Tampered) return undefined // what stands there is shown anew
    throw error
  }
}

export const writeNotice = async ({ store, seal, options }: Pick<Desk, 'store' | 'seal' | 'options'>, hold: Hold, channel: string, notice: Notice): Promise<void> => {
  const keepMs = options.settledKeptMs + Math.max(0, (hold.runBy ?? hold.deadline) - hold.openedAt) + hold.terms.runWithinMs
  await store.putAttachment(hold.id, noticeOf(channel), seal.closeAttachment(hold, noticeOf(channel), Buffer.from(JSON.stringify(notice))), keepMs)
}

/** Who was reached, and who was not. */
export const reachesOf = async (desk: Pick<Desk, 'store' | 'seal' | 'channels' | 'ledger'>, hold: Hold): Promise<readonly Reach[]> =>
  await Promise.all(
    desk.channels.filter((channel) => channel.advises !== true && channel.concerns(hold)).map(async ({ name }) => {
      const notice = await spokenNotice(desk, hold, name)
      if (notice === undefined) return { channel: name, state: 'waiting' as const }
      return { channel: name, state: notice.trouble ?? 'shown', ...(notice.revision > 0 ? { at: notice.at } : {}) }
    }),
  )

/** Its own, or that of the hold whose message speaks of it. */
const spokenNotice = async (desk: Pick<Desk, 'store' | 'seal' | 'ledger'>, hold: Hold, channel: string): Promise<Notice | undefined> => {
  const notice = await readNotice(desk, hold, channel)
  if (notice?.with === undefined) return notice
  const speaker = await desk.ledger.read(notice.with).catch(() => undefined)
  return speaker && (await readNotice(desk, speaker, channel))
}

/** As much of an answer as is kept and shown. */
const longestOpinion = 2_000

/** What the machines that are asked have said of it so far. */
export const opinionsOf = async (desk: Pick<Desk, 'store' | 'seal' | 'channels'>, hold: Hold): Promise<readonly Opinion[]> =>
  (await Promise.all(desk.channels.filter(({ advises }) => advises === true).map(async ({ name }) => {
    const notice = await readNotice(desk, hold, name)
    return notice?.memory === undefined ? [] : [{ advisor: name, text: notice.memory }]
  }))).flat()

export const keptOpinion = (text: string): string => cutAt(text.toWellFormed().trim(), longestOpinion).text
