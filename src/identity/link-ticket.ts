import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Sealing } from '../lib/sealing.ts'
import type { ChatAccount } from './links.ts'

/** A way from a chat to the console, for the one account that it was whispered to. */
export interface LinkTicket {
  readonly account: ChatAccount
  /** What the chat calls the account; chosen by its owner. */
  readonly display: string
  /** For how long the link would be good. */
  readonly keepMs: number
  /** By this it is used once. */
  readonly nonce: string
}

/** Tickets are kept by whoever carries them, sealed: one that nobody uses costs nothing. */
export interface LinkTickets {
  issue(ticket: Omit<LinkTicket, 'nonce'>): string
  /** `undefined` for anything that was not issued here within `ticketMs`. */
  read(text: string): LinkTicket | undefined
}

export const ticketMs = 10 * 60_000

const about = 'link ticket'
const shape = z.strictObject({ account: z.strictObject({ chat: z.enum(['slack', 'teams']), workspace: z.string(), user: z.string() }), display: z.string(), keepMs: z.number(), nonce: z.string(), until: z.number() })
const longest = 2_000

export const makeLinkTickets = (sealing: Sealing, now: () => number): LinkTickets => ({
  issue: ({ account: { chat, workspace, user }, display, keepMs }) => sealing.seal(JSON.stringify({ account: { chat, workspace, user }, display, keepMs, nonce: randomBytes(16).toString('base64url'), until: now() + ticketMs } satisfies z.infer<typeof shape>), about),
  read(text) {
    const opened = text.length > longest || !/^[A-Za-z0-9_-]+$/.test(text) ? undefined : sealing.open(text, about)
    if (opened === undefined) return undefined
    const { until, ...ticket } = shape.parse(JSON.parse(opened))
    return until > now() ? ticket : undefined
  },
})
