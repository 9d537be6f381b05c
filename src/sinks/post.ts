import { Agent, request } from 'undici'
import { Busy, readText, retryAfter } from '../lib/receiver.ts'
import { LineRefused } from './sink.ts'

export interface Message {
  readonly method?: 'GET' | 'POST' | 'PUT'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface Answer {
  readonly status: number
  readonly retryAfterMs: number | undefined
  readonly text: string
}

/** One connection to one place. Redirects are answers like others: the lines and the authorization go to the configured place or nowhere. */
export interface Post extends AsyncDisposable {
  /** Resolves with the whole of the answer, whatever it says. */
  send(message: Message, signal: AbortSignal): Promise<Answer>
}

/** Answers to batches name their lines one by one. */
const mostAnswerBytes = 4 * 1024 * 1024
const waits = { least: 0, most: 300_000 }

export const makePost = ({ name, url: text, ca, timeoutMs }: { readonly name: string; readonly url: string; readonly ca?: string; readonly timeoutMs: number }): Post => {
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error(`sink ${name}: an http or https URL is wanted`)
  if (url.username !== '' || url.password !== '') throw new Error(`sink ${name}: credentials do not belong into the URL`)
  const agent = new Agent({ connections: 1, pipelining: 1, connect: { timeout: timeoutMs, ...(ca === undefined ? {} : { ca }) }, headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
  return {
    send: async ({ method = 'POST', url, headers, body }, signal) => {
      const { statusCode, headers: answered, body: answer } = await request(url, { method, headers: { 'user-agent': 'countersign', ...headers }, ...(body === undefined ? {} : { body }), dispatcher: agent, signal })
      return { status: statusCode, text: await readText(answer, mostAnswerBytes), retryAfterMs: retryAfter(answered['retry-after'], waits) }
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

export const isGood = ({ status }: Answer): boolean => status >= 200 && status < 300

/** No batch will ever pass that these answers are given to. Others (401, 403, 404, 5xx) speak about the place, not about the lines. */
export const aboutLines: ReadonlySet<number> = new Set([400, 413, 422])

/** What to throw for an answer that is not good. `never`: the statuses that speak about the lines. */
export const refusalOf = ({ status, retryAfterMs }: Answer, never: ReadonlySet<number> = aboutLines, said = ''): Error => {
  const cause = `HTTP ${status}${said === '' ? '' : `: ${said}`}`
  if (never.has(status)) return new LineRefused(cause)
  return retryAfterMs === undefined ? new Error(cause) : new Busy(cause, retryAfterMs)
}

/** The answer as data; `undefined` where it is none. Nothing in it is believed to have a shape. */
export const dataIn = ({ text }: Answer): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
