import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose'
import { makeIdentity } from '../../src/identity/make-identity.ts'
import type { IdentityOptions, IssuerOptions } from '../../src/identity/options.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import type { Claim } from '../../src/model/claim.ts'

export interface TestKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
  readonly jwk: Record<string, unknown>
}

export const makeKey = async (kid: string, alg = 'ES256'): Promise<TestKey> => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

export const iss = 'https://idp-a.test'

export const seconds = (): number => Math.floor(Date.now() / 1000)

/** Good claims, unless a test says otherwise; `undefined` leaves one out. */
export const claimsOf = (changes: Record<string, unknown> = {}): JWTPayload =>
  Object.fromEntries(Object.entries({ iss, sub: 'alice', aud: 'countersign', iat: seconds(), nbf: seconds(), exp: seconds() + 300, groups: ['dev'], ...changes }).filter(([, value]) => value !== undefined))

export const sign = (key: TestKey, changes: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> =>
  new SignJWT(claimsOf(changes)).setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header }).sign(key.privateKey)

/** Any header and payload at all, with whatever bytes for a signature. */
export const forge = (header: unknown, claims: unknown, signature: Uint8Array | string = ''): string =>
  [JSON.stringify(header), typeof claims === 'string' ? claims : JSON.stringify(claims), signature].map((part) => Buffer.from(part).toString('base64url')).join('.')

export const issuerOptions = (keys: IssuerOptions['keys'], changes: Partial<IssuerOptions> = {}): IssuerOptions => ({
  name: 'a',
  issuers: [iss],
  preset: 'generic',
  keys,
  audiences: ['countersign'],
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  kind: 'human',
  clockToleranceMs: 60_000,
  maxTokenAgeMs: 86_400_000,
  claimPaths: { subject: 'sub', groups: 'groups', email: 'email', emailVerified: 'email_verified', name: 'name', clientId: 'client_id' },
  claims: {},
  required: {},
  groupNames: {},
  emailDomains: ['company.test'],
  delegation: { allowed: false, actorIssuers: [] },
  jwks: { maxAgeMs: 600_000, maxStaleMs: 3_600_000, cooldownMs: 30_000, errorBackoffMs: 5_000, maxBytes: 262_144, timeoutMs: 2_000 },
  ...changes,
})

export const inline = (...keys: readonly TestKey[]): IssuerOptions['keys'] => ({ from: 'inline', jwks: { keys: keys.map(({ jwk }) => jwk) } })

export const claim = (token: string, changes: Partial<Claim> = {}): Claim => ({ token, from: 'authorization', address: '192.0.2.1', ...changes })

export type Failed = Extract<AuditEvent, { type: 'authentication-failed' }>

export const start = (issuers: readonly IssuerOptions[], rest: Partial<IdentityOptions> = {}, now: () => number = Date.now) => {
  const failures: Failed[] = []
  const identity = makeIdentity({ issuers, agents: [], cache: { entries: 100, maxAgeMs: 60_000 }, maxTokenBytes: 16_384, ...rest }, { now, events: (event) => failures.push(event) })
  return { identity, failures, [Symbol.asyncDispose]: () => identity[Symbol.asyncDispose]() }
}

/** A clock that stands where it is put. */
export const makeClock = () => {
  let shift = 0
  return { now: () => Date.now() + shift, advance: (ms: number) => void (shift += ms) }
}

/** A server that answers as the test likes, and counts. */
export const startServer = async (answer: (response: ServerResponse, url: string, body: string) => void) => {
  const hits: string[] = []
  let respond = answer
  const server = createServer((request, response) => {
    hits.push(request.url ?? '')
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => void (body += chunk)).on('end', () => respond(response, request.url ?? '', body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hits,
    answer(next: (response: ServerResponse, url: string, body: string) => void): void {
      respond = next
    },
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const json = (value: unknown) => (response: ServerResponse): void => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
