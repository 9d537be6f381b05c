import { parseStrictJson } from '../lib/strict-json.ts'
import { fetchBytes, FetchProblem, type Fetch, type FetchLimits } from './bounded-fetch.ts'
import type { IssuerOptions } from './options.ts'
import { isName, shown, TokenProblem, type Trail } from './steps.ts'
import type { Claims } from './token-shape.ts'

/** Asks the issuer about one token. Rejects with a `TokenProblem`. */
export type Introspect = (token: string, note: Trail) => Promise<Claims>

/** Questions open at once. Texts that nobody issued cost an attacker nothing; the issuer must not pay for them without end. */
const maxOpen = 32

export const makeIntrospect = (options: IssuerOptions, endpoint: NonNullable<IssuerOptions['introspection']>, fetch: Fetch, limits: FetchLimits): Introspect => {
  let open = 0
  const authorization = `Basic ${Buffer.from(`${formText(endpoint.clientId)}:${formText(endpoint.clientSecret.reveal())}`).toString('base64')}`
  return async (token, note) => {
    if (open >= maxOpen) throw new TokenProblem('introspection-unavailable', `${open} questions already open`, `fewer than ${maxOpen}`)
    open++
    try {
      const body = new URLSearchParams({ token, token_type_hint: 'access_token' }).toString()
      const answer = await fetchBytes(fetch, endpoint.url, { method: 'POST', headers: { authorization, accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' }, body }, limits)
      return readAnswer(answer, options.issuers, note)
    } catch (error) {
      if (error instanceof FetchProblem) throw new TokenProblem('introspection-unavailable', error.message, 'an answer', error)
      throw error
    } finally {
      open--
    }
  }
}

/** RFC 6749 wants both halves form-encoded before they meet. */
const formText = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)

const readAnswer = (bytes: Uint8Array, issuers: readonly string[], note: Trail): Claims => {
  let answer: unknown
  try {
    answer = parseStrictJson(bytes)
  } catch (error) {
    throw new TokenProblem('introspection', 'an answer that is not plain JSON', 'one JSON object without repeated keys', error)
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) throw new TokenProblem('introspection', shown(answer), 'one JSON object')
  const claims = answer as Record<string, unknown>
  const { active, iss, sub } = claims as { active?: unknown; iss?: unknown; sub?: unknown }
  // Nothing but the literal true is active: absent and "true" have both been taken for it elsewhere.
  if (active !== true) throw new TokenProblem('introspection', `active ${shown(active)}`, 'active true')
  if (typeof iss !== 'string' || !issuers.includes(iss)) throw new TokenProblem('introspection', `iss ${shown(iss)}`, issuers.join(' or '))
  if (!isName(sub)) throw new TokenProblem('introspection', `sub ${shown(sub)}`, 'a text of one line')
  note('introspection', 'active true', 'active true, from the right issuer')
  return claims
}
