import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose'

/** An issuer that signs whatever a test wants, and serves the keys to check it by. */
export interface TestIssuer extends AsyncDisposable {
  readonly issuer: string
  readonly jwksUri: string
  readonly jwks: { readonly keys: readonly Record<string, unknown>[] }
  /** How often the keys were fetched. */
  readonly fetches: () => number
  /** Signs these claims over good defaults: 5 minutes from now, audience `countersign`. A claim set to `undefined` is left out. */
  sign(claims?: JWTPayload & Record<string, unknown>, header?: { readonly typ?: string; readonly kid?: string }): Promise<string>
}

export const startIssuer = async (): Promise<TestIssuer> => {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const kid = 'test-1'
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }] }
  let fetches = 0
  const server = createServer((request, response) => {
    const body = request.url === '/jwks' ? jwks : request.url === '/.well-known/openid-configuration' ? { issuer, jwks_uri: `${issuer}/jwks`, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'] } : undefined
    if (request.url === '/jwks') fetches++
    response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    jwks,
    fetches: () => fetches,
    async sign(claims = {}, header = {}) {
      const now = Math.floor(Date.now() / 1000)
      const payload = Object.fromEntries(Object.entries({ iss: issuer, sub: 'alice', aud: 'countersign', iat: now, exp: now + 300, ...claims }).filter(([, value]) => value !== undefined))
      return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid, typ: 'at+jwt', ...header }).sign(privateKey)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
