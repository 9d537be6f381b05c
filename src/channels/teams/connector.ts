import { z } from 'zod'
import { Declined, type Delivery } from '../delivery.ts'
import type { Card } from './card.ts'
import type { TeamsBotOptions } from './options.ts'

/** What the Bot Connector says of a member of a conversation. */
export interface Member {
  readonly object: string | undefined
  readonly tenant: string | undefined
  readonly principalName: string | undefined
  readonly role: string | undefined
}

/** Where a message of ours is. */
export interface Copy {
  readonly conversation: string
  readonly activity: string
}

export interface Message {
  readonly card: Card
  /** What a notification reads: words of our own. */
  readonly summary: string
}

/** The way out to the Bot Connector, with a token of the bot's own. Rejects as a delivery does. */
export interface Connector {
  post(conversation: string, message: Message, signal: AbortSignal): Promise<Copy>
  update(copy: Copy, message: Message, signal: AbortSignal): Promise<void>
  reply(copy: Copy, text: string, signal: AbortSignal): Promise<void>
  /** Whether a token can be had at all. */
  authorize(signal: AbortSignal): Promise<void>
  /** Whether the conversation is there, and the bot in it. */
  reach(conversation: string, signal: AbortSignal): Promise<void>
  /** Somebody in a conversation, by the id that the chat calls them there. */
  member(serviceUrl: string, conversation: string, user: string, signal: AbortSignal): Promise<Member>
}

const tokenShape = z.object({ token_type: z.literal('Bearer'), access_token: z.string().min(1).max(16_384).regex(/^[\x21-\x7e]+$/), expires_in: z.number().positive() })
const postedShape = z.looseObject({ id: z.string().min(1).max(512) })
const text = z.string().max(512).optional()
const memberShape = z.looseObject({ aadObjectId: text, objectId: text, tenantId: text, userPrincipalName: text, userRole: text })

/** A token is not used in its last minutes: one that ends on the way is a failure for nothing. */
const marginMs = 300_000
const longestMs = 3_600_000

export const makeConnector = ({ appId, appSecret, serviceUrl, connector: { tokenUrl, scope } }: TeamsBotOptions, { send }: Pick<Delivery, 'send'>): Connector => {
  let token: { readonly text: string; readonly until: number } | undefined
  let asking: Promise<string> | undefined

  const ask = async (signal: AbortSignal): Promise<string> => {
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: appId, client_secret: appSecret.reveal(), scope }).toString()
    const answer = tokenShape.parse(JSON.parse(await send({ method: 'POST', url: tokenUrl, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body }, signal)))
    token = { text: answer.access_token, until: performance.now() + Math.min(answer.expires_in * 1_000, longestMs) - marginMs }
    return token.text
  }

  /** One at a time, whoever asks. */
  const bearer = async (signal: AbortSignal): Promise<string> => {
    if (token !== undefined && token.until > performance.now()) return token.text
    return await (asking ??= ask(signal).finally(() => (asking = undefined)))
  }

  const call = async (method: 'GET' | 'POST' | 'PUT', at: string, path: readonly string[], body: unknown, signal: AbortSignal, query = ''): Promise<unknown> => {
    const authorization = `Bearer ${await bearer(signal)}`
    const url = `${at.replace(/\/+$/, '')}/v3/conversations/${path.map(encodeURIComponent).join('/')}${query}`
    try {
      const answer = await send({ method, url, headers: { authorization }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }, signal)
      return answer === '' ? {} : JSON.parse(answer)
    } catch (error) {
      if (error instanceof Declined && error.status === 401) token = undefined
      throw error
    }
  }

  const activity = ({ card, summary }: Message) => ({ type: 'message', summary, attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', content: card }] })

  return {
    async post(conversation, message, signal) {
      const { id } = postedShape.parse(await call('POST', serviceUrl, [conversation, 'activities'], activity(message), signal))
      return { conversation, activity: id }
    },
    async update({ conversation, activity: id }, message, signal) {
      await call('PUT', serviceUrl, [conversation, 'activities', id], { ...activity(message), id }, signal)
    },
    async reply({ conversation, activity: id }, words, signal) {
      await call('POST', serviceUrl, [conversation, 'activities', id], { type: 'message', textFormat: 'plain', text: words, replyToId: id }, signal)
    },
    async authorize(signal) {
      await bearer(signal)
    },
    async reach(conversation, signal) {
      await call('GET', serviceUrl, [conversation, 'pagedmembers'], undefined, signal, '?pageSize=50')
    },
    async member(at, conversation, user, signal) {
      const { aadObjectId, objectId, tenantId, userPrincipalName, userRole } = memberShape.parse(await call('GET', at, [conversation, 'members', user], undefined, signal))
      return { object: aadObjectId ?? objectId, tenant: tenantId, principalName: userPrincipalName, role: userRole }
    },
  }
}
