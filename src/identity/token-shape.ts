import { JsonProblem, parseStrictJson } from '../lib/strict-json.ts'
import { isName, shown, TokenProblem, type Trail } from './steps.ts'

export type Claims = Readonly<Record<string, unknown>>

/** A signed token taken apart. Nothing in it is verified yet. */
export interface SignedToken {
  readonly alg: string
  readonly kid: string | undefined
  /** Lower case, without `application/`. */
  readonly typ: string | undefined
  readonly claims: Claims
}

/** Looks at lengths only: what is too large is not read. */
export const checkSize = (token: string, maxBytes: number, note: Trail): void => {
  const expected = `1 to ${maxBytes} bytes`
  if (token.length === 0 || token.length > maxBytes) throw new TokenProblem('size', `${token.length} bytes`, expected)
  note('size', `${token.length} bytes`, expected)
}

/** Three parts is a signed token and nothing else. Other texts may be opaque, unless they begin like a token that says what it is. */
export const isOpaque = (token: string): boolean => {
  const first = token.indexOf('.')
  if (first < 0) return isBearerText(token)
  const second = token.indexOf('.', first + 1)
  if (second >= 0 && !token.includes('.', second + 1)) return false
  return isBearerText(token) && decode(token.slice(0, first)) === undefined
}

/** The characters that RFC 6750 gives a bearer token. */
const isBearerText = (token: string): boolean => /^[A-Za-z0-9\-._~+/]+=*$/.test(token)

/** A JSON object behind base64url in its one spelling. */
const decode = (part: string): Record<string, unknown> | undefined => {
  const bytes = bytesOf(part)
  if (bytes === undefined) return undefined
  try {
    const value = parseStrictJson(bytes)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof JsonProblem) return undefined
    throw error
  }
}

const bytesOf = (part: string): Uint8Array | undefined => {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : undefined
}

const shape = 'three base64url parts, the first two JSON objects without repeated keys'

export const takeApart = (token: string, note: Trail): SignedToken => {
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first < 0 || second < 0 || token.includes('.', second + 1)) throw new TokenProblem('shape', 'another number of parts (an encrypted token has five)', shape)
  const header = decode(token.slice(0, first))
  const claims = decode(token.slice(first + 1, second))
  if (header === undefined || claims === undefined) throw new TokenProblem('shape', `an unreadable ${header === undefined ? 'header' : 'payload'}`, shape)
  const signature = bytesOf(token.slice(second + 1))
  if (signature === undefined || signature.length === 0) throw new TokenProblem('shape', signature === undefined ? 'a signature that is not base64url' : 'no signature', shape)
  note('shape', 'three parts', shape)
  const { alg, kid, typ } = readHeader(header)
  note('header', `alg ${shown(alg)}, kid ${shown(kid)}, typ ${shown(typ)}`, 'plain alg, kid and typ; no crit, b64, enc or zip')
  return { alg, kid, typ, claims }
}

const readHeader = (header: Claims): { readonly alg: string; readonly kid: string | undefined; readonly typ: string | undefined } => {
  for (const name of ['crit', 'b64', 'enc', 'zip']) if (Object.hasOwn(header, name)) throw new TokenProblem('header', `"${name}"`, 'no extension that changes what the token means')
  const { alg, kid, typ } = header as { alg?: unknown; kid?: unknown; typ?: unknown }
  if (typeof alg !== 'string' || alg === '') throw new TokenProblem('header', `alg ${shown(alg)}`, 'the name of an algorithm')
  if (kid !== undefined && !(isName(kid) && kid.length <= 256)) throw new TokenProblem('header', `kid ${shown(kid)}`, 'a short text or nothing')
  if (typ !== undefined && !isName(typ)) throw new TokenProblem('header', `typ ${shown(typ)}`, 'a text or nothing')
  return { alg, kid, typ: typ?.toLowerCase().replace(/^application\//, '') }
}
