import { request as send } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { until } from '../support/until.ts'
import type { Replica } from './process.ts'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as data, where it is JSON. */
  readonly json: Readonly<Record<string, unknown>>
  /** The closed word for what happened, where the answer is Countersign's own. */
  readonly code: string | undefined
  readonly hold: string | undefined
  /** `false` where the answer says so itself. */
  readonly executed: unknown
}

export interface Ask {
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly deadlineMs?: number
}

/** One request on a connection of its own. Rejects when the connection breaks. */
export const ask = (base: string, path: string, token: string, { method = 'POST', body, headers = {}, deadlineMs = 30_000 }: Ask = {}): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const request = send(`${base}${path}`, { method, agent: false, signal: AbortSignal.timeout(deadlineMs), headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }), ...headers } })
    request.on('error', reject)
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const json = jsonOf(text)
        const found = new Headers(Object.entries(response.headersDistinct).flatMap(([name, values = []]) => values.map((value): [string, string] => [name, value])))
        resolve({ status: response.statusCode ?? 0, headers: found, text, json, code: typeof json['code'] === 'string' ? json['code'] : undefined, hold: found.get('countersign-hold') ?? undefined, executed: json['executed'] })
      })
    })
    request.end(body)
  })

const jsonOf = (text: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

export interface HoldView extends Readonly<Record<string, unknown>> {
  readonly id: string
  readonly code: string
  readonly state: string
  readonly action: { readonly digest: string; readonly text: string }
}

/** What an approver sees. */
export const showHold = async (replica: Pick<Replica, 'console'>, id: string, token: string): Promise<HoldView> => {
  const reply = await ask(replica.console, `/api/holds/${id}`, token, { method: 'GET' })
  if (reply.status !== 200) throw new Error(`no hold ${id}: ${reply.status} ${reply.text}`)
  return reply.json as HoldView
}

/** The holds that this person may see, newest first. */
export const listHolds = async (replica: Pick<Replica, 'console'>, token: string, state = 'pending'): Promise<readonly (HoldView & { readonly digest: string; readonly preview: string })[]> => {
  const reply = await ask(replica.console, `/api/holds?state=${state}&limit=100`, token, { method: 'GET' })
  if (reply.status !== 200) throw new Error(`no list: ${reply.status} ${reply.text}`)
  return reply.json['holds'] as readonly (HoldView & { readonly digest: string; readonly preview: string })[]
}

/** The one hold in this state whose text names this path, once it is there. `given` says that there is no use in waiting any more. */
export const heldFor = (replica: Pick<Replica, 'console'>, token: string, path: string, state = 'pending', given: () => boolean = () => false) =>
  until(`a ${state} hold for ${path}`, async () => {
    if (given()) throw new Error(`no ${state} hold for ${path}`)
    const found = (await listHolds(replica, token, state)).find((hold) => names(hold.preview, path))
    if (found === undefined) await pause(25) // a list costs more than a look at a variable
    return found
  }, 10_000)

/** Whether a hold's text is about this very path and not one that begins alike. */
export const names = (text: string, path: string): boolean => text.split(/\s/).some((word) => word.endsWith(path))

export const vote = async (replica: Pick<Replica, 'console'>, id: string, token: string, verdict: 'approve' | 'deny' = 'approve', reason?: string): Promise<Reply> => {
  const { action } = await showHold(replica, id, token)
  return await ask(replica.console, `/api/holds/${id}/votes`, token, { body: JSON.stringify({ verdict, digest: action.digest, ...(reason === undefined ? {} : { reason }) }) })
}
