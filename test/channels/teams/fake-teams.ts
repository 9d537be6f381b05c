import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose'
import type { TeamsBotOptions } from '../../../src/channels/teams/options.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { cardProblems } from './card-rules.ts'

/** Of whom the bot is, unless another is named. */
export const tenant = '11111111-2222-4333-8444-555555555555'
export const appId = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
export const conversation = '19:0123456789abcdef@thread.tacv2'
export const connectorIssuer = 'https://api.botframework.com'
const appSecret = 'a-secret-of-the-bot'

type Tree = Readonly<Record<string, unknown>>

export interface Sent {
  readonly method: string
  readonly path: string
  readonly text: string
  readonly at: number
}

export interface Person {
  readonly id: string
  readonly object: string
  readonly tenant?: string
  readonly principalName?: string
  readonly role?: string
}

const readAll = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const makeKey = async (kid: string, endorsements: readonly string[]): Promise<{ readonly privateKey: CryptoKey; readonly jwk: Tree }> => {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', x5t: kid, endorsements } }
}

/**
 * The Bot Connector as far as a bot meets it: tokens, conversations, members and keys. It takes nothing that the real one is known to turn away,
 * and it can fail, be slow to forgive, and forget messages.
 */
export const startTeams = async (home = tenant) => {
  const keys = { good: await makeKey('good', ['msteams', 'webchat']), other: await makeKey('other', ['directline']), unlisted: await makeKey('unlisted', ['msteams']) }
  const messages = new Map<string, { activity: Tree; readonly replies: Tree[] }>()
  const people = new Map<string, Person>()
  const sent: Sent[] = []
  const wrong: string[] = []
  const answers: (readonly [status: number, headers?: Record<string, string>])[] = []
  const tokens = new Set<string>()
  const state = { down: false, tokensGiven: 0 }

  const problemOf = (activity: Tree): string | undefined => {
    if (activity['type'] !== 'message') return 'no message'
    const attachments = activity['attachments'] as { contentType?: string; content?: unknown }[] | undefined
    if (attachments === undefined) return activity['textFormat'] === 'plain' && typeof activity['text'] === 'string' ? undefined : 'a text that is markdown'
    if (attachments.length !== 1 || attachments[0]?.contentType !== 'application/vnd.microsoft.card.adaptive') return 'no card'
    return cardProblems(attachments[0].content).join('; ') || undefined
  }

  const conversationCall = (method: string, path: readonly string[], body: Tree): readonly [status: number, answer?: Tree] => {
    const [place, kind, id] = path
    if (place !== conversation) return [404, { error: { code: 'ConversationNotFound' } }]
    if (kind === 'members' && method === 'GET') {
      const person = people.get(id ?? '')
      return person === undefined ? [404] : [200, { id: person.id, objectId: person.object, aadObjectId: person.object, tenantId: person.tenant ?? home, userPrincipalName: person.principalName ?? 'somebody@example.org', userRole: person.role ?? 'user' }]
    }
    if (kind === 'pagedmembers?pageSize=50' && method === 'GET') return [200, { members: [] }]
    if (kind !== 'activities') return [405]
    const problem = problemOf(body)
    if (problem !== undefined) return [400, { error: { code: 'BadSyntax', message: problem } }]
    if (method === 'POST' && id === undefined) {
      const made = String(1_700_000_000_000 + messages.size)
      messages.set(made, { activity: body, replies: [] })
      return [201, { id: made }]
    }
    const message = messages.get(id ?? '')
    if (message === undefined) return [404, { error: { code: 'ActivityNotFoundInConversation' } }]
    if (method === 'POST') message.replies.push(body)
    else if (method === 'PUT' && body['id'] === id) message.activity = body
    else return [400, { error: { code: 'BadSyntax' } }]
    return [200, { id }]
  }

  const take = (request: IncomingMessage, text: string): readonly [status: number, answer?: Tree] => {
    const { method = '', url = '', headers } = request
    if (method === 'GET' && url === '/keys') return [200, { keys: [keys.other.jwk, keys.good.jwk] }]
    if (url === `/${home}/token`) {
      const form = new URLSearchParams(text)
      const asked = ['grant_type', 'client_id', 'client_secret', 'scope'].map((name) => form.get(name))
      if (method !== 'POST' || headers['content-type'] !== 'application/x-www-form-urlencoded' || String(asked) !== String(['client_credentials', appId, appSecret, 'https://api.botframework.com/.default'])) return [401, { error: 'invalid_client' }]
      const token = randomUUID()
      tokens.add(token)
      state.tokensGiven++
      return [200, { token_type: 'Bearer', access_token: token, expires_in: 3_599 }]
    }
    if (!url.startsWith('/teams/v3/conversations/')) return [404]
    if (!tokens.has(/^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '')) return [401]
    if (method !== 'GET' && headers['content-type'] !== 'application/json') return [415]
    return conversationCall(method, url.slice('/teams/v3/conversations/'.length).split('/').map(decodeURIComponent), text === '' ? {} : (JSON.parse(text) as Tree))
  }

  const server = createServer(async (request, response) => {
    const text = await readAll(request)
    const isCall = request.url?.startsWith('/teams/') === true && request.method !== 'GET'
    if (isCall) sent.push({ method: request.method ?? '', path: request.url ?? '', text, at: performance.now() })
    const [fault, headers = {}] = request.url === '/keys' ? [] : state.down ? [500] : isCall ? (answers.shift() ?? []) : []
    const [status, answer] = fault === undefined ? take(request, text) : [fault]
    if (status === 400) wrong.push(JSON.stringify(answer))
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(answer === undefined ? '' : JSON.stringify(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const options = (over: Partial<TeamsBotOptions> = {}): TeamsBotOptions => ({
    kind: 'teams-bot', name: 'chat', interest: {}, timeoutMs: 2_000, privateAddresses: true, appId, appSecret: new Secret(appSecret), tenant: home, issuer: `https://login.microsoftonline.com/${home}/v2.0`, conversation, serviceUrl: `${url}/teams/`, payload: 'full', groupsMaxAgeMs: 60_000,
    connector: { issuer: connectorIssuer, jwksUrl: `${url}/keys`, tokenUrl: `${url}/${home}/token`, scope: 'https://api.botframework.com/.default', serviceHosts: [new URL(url).host] },
    ...over,
  })

  let clicks = 0
  /** What the Connector posts when somebody presses a button on a card. */
  const click = (by: Person, verb: string, data: Tree, over: Tree = {}): Tree => ({
    type: 'invoke', id: `f:${randomUUID()}-${++clicks}`, name: 'adaptiveCard/action', channelId: 'msteams', serviceUrl: `${url}/teams/`,
    from: { id: by.id, name: 'Somebody', aadObjectId: by.object }, conversation: { id: `${conversation};messageid=1700000000000`, tenantId: by.tenant ?? home, conversationType: 'channel' },
    recipient: { id: `28:${appId}` }, channelData: { tenant: { id: by.tenant ?? home }, team: { id: conversation } }, value: { action: { type: 'Action.Execute', verb, data }, trigger: 'manual' }, ...over,
  })

  const token = ({ key = 'good', header = {}, ...claims }: Tree & { readonly key?: keyof typeof keys; readonly header?: Tree } = {}): Promise<string> => {
    const now = Math.floor(Date.now() / 1_000)
    return new SignJWT({ iss: connectorIssuer, aud: appId, serviceurl: `${url}/teams/`, nbf: now - 10, exp: now + 3_600, ...claims }).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: key, ...header }).sign(keys[key].privateKey)
  }

  const cardOf = (message: string): unknown => (messages.get(message)?.activity['attachments'] as { content: unknown }[] | undefined)?.[0]?.content

  /** The button of that verb on the message that is there. */
  const buttonOf = (message: string, verb: string): { readonly data: Tree } | undefined => {
    const text = JSON.stringify(cardOf(message)) ?? ''
    const found = new RegExp(`"verb":"${verb}","style":"[a-z]+","fallback":"drop","data":(\\{[^}]*\\})`).exec(text)
    return found === null ? undefined : { data: JSON.parse(found[1] ?? '{}') as Tree }
  }

  return {
    url, messages, people, sent, wrong, answers, tokens, state, options, click, token, buttonOf, appSecret,
    cardOf,
    /** As the Connector would, with a token of its own. */
    post: async (to: { answer(post: { headers(name: string): readonly string[]; readonly body: Buffer; readonly address: string }): Promise<{ readonly status: number; readonly body?: unknown }> }, activity: Tree, bearer?: string) => {
      const authorization = `Bearer ${bearer ?? (await token())}`
      return await to.answer({ headers: (name) => (name === 'authorization' ? [authorization] : []), body: Buffer.from(JSON.stringify(activity)), address: '127.0.0.1' })
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export type FakeTeams = Awaited<ReturnType<typeof startTeams>>
