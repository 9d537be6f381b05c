import type { Fetch } from '../../src/identity/bounded-fetch.ts'
import { claimsOf, jwkOf, opaqueOf, people, published, type Directory } from './principals.ts'

/** The identity providers of the profile as far as the product reaches them: key sets and introspection. */
export interface Issuers {
  /** Stands in for every outgoing request of identity. Addresses that belong to nobody here are away. */
  readonly fetch: Fetch
  /** Every address that was asked for. */
  readonly asked: string[]
  /** Key ids that each issuer publishes now. */
  readonly keys: Map<string, readonly string[]>
  /** What an issuer's key set endpoint does instead of answering well. */
  readonly faults: Map<string, 'down' | 'large' | { readonly redirect: string }>
  /** What introspection answers. */
  introspection: string | undefined
}

export const jwksUrl = (issuer: string): string => `https://${issuer}.test/jwks`

export const makeIssuers = (directory: Directory, now: () => number): Issuers => {
  const asked: string[] = []
  const keys = new Map(Object.entries(published))
  const faults: Issuers['faults'] = new Map()
  const answer = (status: number, text: string): Awaited<ReturnType<Fetch>> => ({ status, body: pieces(text) })
  const about = (token: string): string => aboutOpaque(token, directory, now()) ?? activeAsItSays(token)
  const fetch: Fetch = async (url, init) => {
    asked.push(url)
    if (url.startsWith('http://127.0.0.1:')) return await globalThis.fetch(url, init) // a provider that is really there
    const { body } = init
    await undefined
    const [, issuer = '', what] = /^https:\/\/([a-z-]+)\.test\/(jwks|introspect)$/.exec(url) ?? []
    if (what === 'introspect') return answer(200, issuers.introspection ?? about(new URLSearchParams(body ?? '').get('token') ?? ''))
    const kids = keys.get(issuer)
    const fault = faults.get(issuer)
    if (what === undefined || kids === undefined || fault === 'down') throw new Error(`nobody answers at ${url}`)
    const set = JSON.stringify({ keys: kids.map((kid) => jwkOf(issuer, kid)), ...(fault === 'large' ? { pad: 'a'.repeat(10_000_000) } : {}) })
    return typeof fault === 'object' ? answer(302, '') : answer(200, set)
  }
  const issuers: Issuers = { fetch, asked, keys, faults, introspection: undefined }
  return issuers
}

/** What stands for somebody is theirs as a whole or nobody's. */
const aboutOpaque = (token: string, directory: Directory, now: number): string | undefined => {
  const name = Object.keys(people).find((one) => opaqueOf(one) === token)
  return name === undefined ? undefined : JSON.stringify({ active: true, ...claimsOf(name, directory, now) })
}

/** A token that nobody has ended is what it says it is. */
const activeAsItSays = (token: string): string => {
  const claims = token.split('.')[1]
  return JSON.stringify(claims === undefined ? { active: false } : { ...(JSON.parse(Buffer.from(claims, 'base64url').toString()) as object), active: true })
}

const pieces = async function* (text: string): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += 65_536) yield Buffer.from(text.slice(at, at + 65_536))
}
