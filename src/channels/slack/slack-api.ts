import { Closed } from '../../approval/channel.ts'
import { Busy } from '../../lib/receiver.ts'
import type { Secret } from '../../lib/secret.ts'
import { parseStrictJson } from '../../lib/strict-json.ts'
import type { Delivery } from '../delivery.ts'

/** Slack has read it and says no, by this code. */
export class SlackNo extends Error {
  override readonly name = 'SlackNo'
  readonly code: string
  constructor(method: string, code: string, more = '') {
    super(`Slack answered ${method} with ${code}${more}`)
    this.code = code
  }
}

export type Answer = Readonly<Record<string, unknown>>

export interface SlackApi {
  /** Values that are not text are sent as JSON. Rejects with `Busy`, with `Closed` where the token or its rights are at fault, with `SlackNo`. */
  call(method: string, values: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Answer>
}

/** The token is not good for this, and will not be before somebody has done something. */
const fatal: ReadonlySet<string> = new Set([
  'token_expired', 'not_authed', 'invalid_auth', 'account_inactive', 'token_revoked', 'no_permission', 'not_allowed_token_type', 'team_access_not_granted', 'missing_scope', 'org_login_required', 'ekm_access_denied',
])

const word = (value: unknown): string | undefined => (typeof value === 'string' && /^[\w.:,-]{1,200}$/.test(value) ? value : undefined)

/** The Web API, as far as a token reaches. Forms, because not every method takes JSON. */
export const makeSlackApi = ({ url }: { readonly url: string }, token: Secret, delivery: Pick<Delivery, 'send'>): SlackApi => ({
  async call(method, values, signal) {
    const form = new URLSearchParams()
    for (const [name, value] of Object.entries(values)) if (value !== undefined) form.set(name, typeof value === 'string' ? value : JSON.stringify(value))
    const headers = { authorization: `Bearer ${token.reveal()}`, 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
    const text = await delivery.send({ method: 'POST', url: `${url}/${method}`, headers, body: form.toString() }, signal)
    const answer = answerOf(method, text)
    if (answer['ok'] === true) return answer
    const code = word(answer['error']) ?? 'an answer without a code'
    if (code === 'ratelimited') throw new Busy(`Slack answered ${method} with ${code}`, 30_000)
    const needed = word(answer['needed'])
    const no = new SlackNo(method, code, needed === undefined ? '' : ` (it needs ${needed})`)
    throw fatal.has(code) ? new Closed(no.message) : no
  },
})

const answerOf = (method: string, text: string): Answer => {
  const value: unknown = parseStrictJson(Buffer.from(text), 64)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`Slack answered ${method} with something that is no object`)
  return value as Answer
}
