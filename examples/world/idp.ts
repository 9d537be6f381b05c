import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, type JWK } from 'jose'
import { errors, Provider, type Token } from 'oidc-provider'

/** An identity provider as companies have one: people with groups, agents with a secret, delegation, devices. Any password logs in: never for anything real. */
export interface Idp extends AsyncDisposable {
  readonly issuer: string
  /** The audience of its access tokens. */
  readonly audience: string
  readonly users: ReadonlyMap<string, IdpUser>
  /** Changes what the next token of this user says. */
  setGroups(user: string, groups: readonly string[]): void
  /** A token of an agent or a pipeline by its own name (client credentials). */
  agentToken(client?: string): Promise<string>
  /** A token of this user as the command line gets one, without a browser. Only this process can make one. */
  userToken(user: string): Promise<string>
  /** What the agent gets for a user's token: the user is the subject, the agent the actor (token exchange, RFC 8693). */
  delegatedToken(userToken: string, client?: string): Promise<string>
}

export interface IdpUser {
  readonly name: string
  readonly email: string
  readonly groups: readonly string[]
}

export interface IdpClient {
  readonly id: string
  readonly secret: string
  readonly groups: readonly string[]
}

export interface IdpOptions {
  readonly host?: string
  readonly port?: number
  /** How everybody reaches it; the address it listens on when not given. */
  readonly issuer?: string
  readonly audience?: string
  readonly users?: Readonly<Record<string, IdpUser>>
  readonly agents?: readonly IdpClient[]
  /** The origin of a console at which people log in with a browser. */
  readonly consoleUrl?: string
  readonly tokenSeconds?: number
}

const person = (name: string, ...groups: readonly string[]): IdpUser => ({ name, email: `${name.toLowerCase()}@example.org`, groups })

export const defaultUsers: Readonly<Record<string, IdpUser>> = {
  alice: person('Alice', 'developers', 'dba'),
  bob: person('Bob', 'developers', 'dba'),
  carol: person('Carol', 'security'),
  dave: person('Dave', 'developers'),
}

export const defaultAgents: readonly IdpClient[] = [
  { id: 'invoice-agent', secret: 'invoice-agent-secret', groups: ['agents'] },
  { id: 'nightly-pipeline', secret: 'nightly-pipeline-secret', groups: ['pipelines'] },
]

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'

export const startIdp = async (options: IdpOptions = {}): Promise<Idp> => {
  const audience = options.audience ?? 'countersign'
  const users = new Map(Object.entries(options.users ?? defaultUsers))
  const agents = options.agents ?? defaultAgents
  const ttl = options.tokenSeconds ?? 900
  const consoleUrl = options.consoleUrl ?? 'http://127.0.0.1:8081'
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const key: JWK = { ...(await exportJWK(privateKey)), kid: 'idp-1', alg: 'RS256', use: 'sig' }

  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve))
  const port = (server.address() as AddressInfo).port
  const issuer = options.issuer ?? `http://127.0.0.1:${port}`
  // Reached by our own calls even where the public name leads elsewhere.
  const local = `http://127.0.0.1:${port}`

  const claimsOf = (token: Token): Record<string, unknown> => {
    const user = token.accountId === undefined ? undefined : users.get(token.accountId)
    const act = token.extra?.['act']
    if (user) return { groups: user.groups, email: user.email, email_verified: true, name: user.name, auth_time: Math.floor(Date.now() / 1000), ...(act === undefined ? {} : { act }) }
    return { groups: agents.find((agent) => agent.id === token.clientId)?.groups ?? [] }
  }

  const resourceServer = { audience, scope: 'openid profile email groups', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } }, accessTokenTTL: ttl }
  const provider = new Provider(issuer, {
    clients: [
      { client_id: 'countersign-cli', token_endpoint_auth_method: 'none', application_type: 'native', redirect_uris: ['http://127.0.0.1/callback'], grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'] },
      { client_id: 'countersign-console', client_secret: 'countersign-console-secret', redirect_uris: [`${consoleUrl}/oauth2/callback`], post_logout_redirect_uris: [`${consoleUrl}/oauth2/signed-out`], backchannel_logout_uri: `${consoleUrl}/oauth2/backchannel-logout`, backchannel_logout_session_required: true, grant_types: ['authorization_code'] },
      ...agents.map((agent) => ({ client_id: agent.id, client_secret: agent.secret, redirect_uris: [], response_types: [], grant_types: ['client_credentials', exchangeGrant] })),
    ],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
    conformIdTokenClaims: false,
    jwks: { keys: [key] },
    // It would not call anybody on this machine, and here everybody is.
    fetch: (url: string, { dispatcher: _guard, ...request }: RequestInit & { readonly dispatcher?: unknown }) => fetch(url, request),
    cookies: { keys: [crypto.randomUUID()] },
    pkce: { required: () => true },
    ttl: { AccessToken: ttl, ClientCredentials: ttl, IdToken: ttl, DeviceCode: 300, Grant: 86_400, Session: 86_400, Interaction: 600, RefreshToken: 86_400, AuthorizationCode: 60 },
    extraTokenClaims: (_ctx: unknown, token: Token) => claimsOf(token),
    findAccount: (_ctx: unknown, id: string) => {
      const user = users.get(id)
      return user && { accountId: id, claims: () => ({ sub: id, name: user.name, email: user.email, email_verified: true, groups: user.groups }) }
    },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
      resourceIndicators: { enabled: true, defaultResource: () => audienceUri(audience), useGrantedResource: () => true, getResourceServerInfo: () => resourceServer },
    },
  })

  const keys = createLocalJWKSet({ keys: [publicPart(key)] })
  provider.registerGrantType(
    exchangeGrant,
    async (ctx) => {
      const { client, params } = ctx.oidc
      if (params['subject_token'] === undefined) throw new errors.InvalidRequest('subject_token is missing')
      const verified = await jwtVerify(params['subject_token'], keys, { issuer, audience }).catch(() => undefined)
      const subject = verified?.payload.sub
      if (verified === undefined || subject === undefined || !users.has(subject)) throw new errors.InvalidGrant('subject_token is not valid')
      const inner = verified.payload['act']
      const token = new provider.AccessToken({ accountId: subject, client, gty: 'token_exchange', extra: { act: { sub: client.clientId, ...(inner === undefined ? {} : { act: inner }) } } })
      token.resourceServer = { ...resourceServer, identifier: () => audienceUri(audience) }
      token.scope = 'groups'
      ctx.oidc.entity('AccessToken', token)
      ctx.body = { access_token: await token.save(), issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', expires_in: ttl, token_type: token.tokenType }
    },
    ['subject_token', 'subject_token_type', 'audience', 'scope'],
    ['audience'],
  )
  server.on('request', provider.callback())

  const ask = async (client: string, form: Record<string, string>): Promise<string> => {
    const secret = agents.find((agent) => agent.id === client)?.secret ?? ''
    const response = await fetch(`${local}/token`, { method: 'POST', headers: { authorization: `Basic ${btoa(`${client}:${secret}`)}` }, body: new URLSearchParams(form), signal: AbortSignal.timeout(5_000) })
    const { access_token: token } = (await response.json()) as { access_token?: string }
    if (!token) throw new Error(`the identity provider gave no token: ${response.status}`)
    return token
  }
  const first = agents[0]?.id ?? ''

  return {
    issuer,
    audience,
    users,
    setGroups(name, groups) {
      const user = users.get(name)
      if (user) users.set(name, { ...user, groups })
    },
    agentToken: (client = first) => ask(client, { grant_type: 'client_credentials' }),
    async userToken(user) {
      if (!users.has(user)) throw new Error(`there is no user ${user}`)
      const token = new provider.AccessToken({ accountId: user, client: { clientId: 'countersign-cli' }, gty: 'authorization_code' })
      token.resourceServer = { ...resourceServer, identifier: () => audienceUri(audience) }
      token.scope = 'openid groups'
      return token.save()
    },
    delegatedToken: (userToken, client = first) => ask(client, { grant_type: exchangeGrant, subject_token: userToken, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Resource indicators must be absolute URIs, whatever the audience is. */
const audienceUri = (audience: string): string => (URL.canParse(audience) ? audience : `urn:${audience}:api`)

const publicPart = ({ kty, kid, alg, use, n, e }: JWK): JWK => ({ ...(kty && { kty }), ...(kid && { kid }), ...(alg && { alg }), ...(use && { use }), ...(n && { n }), ...(e && { e }) })
