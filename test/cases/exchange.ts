import { setTimeout as pause } from 'node:timers/promises'
import { isTree, list, type Tree } from './loader.ts'
import { endpointOf } from './names.ts'
import { pending } from './outcome.ts'
import { bearerOf, makeToken, type TokenChange, userOf, people } from './principals.ts'
import { bytesOf, expand, type TextWorld } from './text.ts'
import { connectWire, headerOf, type Reply, type Wire } from './wire-client.ts'
import type { Recorded, World } from './world.ts'

/** One request as it was sent, and what became of it. */
export interface Exchange {
  readonly ref: string
  readonly wire: Wire
  readonly index: number
  readonly sent: Message
  readonly replica: string | undefined
  /** Number of records before it was sent. */
  readonly before: number
  readonly at: number
  reply?: Reply | 'closed' | 'silent'
  hold?: string
  /** Whether it was once seen waiting. */
  wasHeld: boolean
}

export interface Message {
  readonly bytes: Buffer
  readonly method: string
  readonly listener: 'http' | 'console' | 'admin'
  readonly as: string | undefined
  /** Subject that the product will see, where a principal of the profile sends. */
  readonly user: string | undefined
  readonly absent: boolean
  /** Over TLS, with this server name. */
  readonly sni?: string
  /** Bytes at a time, for slow senders. */
  readonly perSecond?: number
}

export interface Sender extends TextWorld {
  readonly given: Tree
  readonly exchanges: Exchange[]
  readonly sockets: Map<string, { wire: Wire; sent: number }>
  /** What completes a vote that the case leaves out. */
  ballot(target: string, verdict: 'approve' | 'deny', body: string): string
}

const websocketNames = ['upgrade']

const asOf = (item: Tree, inner: Tree, given: Tree): string | undefined => {
  // Who sends where nobody is named is the subject of the base token.
  const name = inner['as'] ?? item['as'] ?? given['as'] ?? 'req-a'
  return name === 'none' ? undefined : String(name)
}

const lines = (pairs: readonly (readonly [string, string])[]): string => pairs.map(([name, value]) => `${name}: ${value}\r\n`).join('')

/** An item of the cases as bytes. */
export const messageOf = (item: Tree, sender: Sender): Message => {
  if (typeof item['raw'] === 'string') return rawMessage(item['raw'], sender)
  if (isTree(item['http'])) return httpMessage(item, item['http'], sender)
  if (typeof item['mcp'] === 'string') return mcpMessage(item, item['mcp'], sender)
  if (isTree(item['jwt'])) return jwtMessage(item['jwt'], sender)
  if (typeof item['introspection'] === 'string') {
    sender.world.issuers.introspection = item['introspection']
    return compose({ method: 'GET', target: '/public/x', host: 'app.test', pairs: [['Authorization', 'Bearer opaque-token-of-the-case']], body: undefined, as: undefined, listener: 'http' })
  }
  if (isTree(item['slow'])) return { ...rawMessage(String(item['slow']['bytes']), sender), perSecond: Number(item['slow']['bytes_per_second']) }
  return pending('an item of that kind')
}

const rawMessage = (text: string, sender: Sender): Message => {
  const as = /\{\{bearer:([^}]+)\}\}/.exec(text)?.[1]
  const bytes = Buffer.from(expand(text, sender), 'latin1')
  return { bytes, method: /^[A-Z]+/.exec(text)?.[0] ?? 'GET', listener: 'http', as, user: as === undefined ? undefined : userOf(as), absent: false }
}

interface Parts {
  readonly method: string
  readonly target: string
  readonly host: string
  readonly pairs: readonly (readonly [string, string])[]
  readonly body: Buffer | undefined
  readonly as: string | undefined
  readonly listener: Message['listener']
  readonly absent?: boolean
  readonly sni?: string
}

const compose = ({ method, target, host, pairs, body, as, listener, absent = false, ...more }: Parts): Message => {
  const framed = pairs.some(([name]) => /^(?:content-length|transfer-encoding)\s*$/i.test(name))
  const head = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines(pairs)}${body !== undefined && !framed ? `Content-Length: ${body.length}\r\n` : ''}\r\n`
  return { bytes: Buffer.concat([Buffer.from(head, 'latin1'), body ?? Buffer.alloc(0)]), method, listener, as, user: as === undefined ? undefined : people[as] ? userOf(as) : undefined, absent, ...more }
}

const httpMessage = (item: Tree, http: Tree, sender: Sender): Message => {
  const { world, given } = sender
  if (http['browser'] !== undefined) pending('browsers are not driven by this runner')
  const wanted = String(http['listener'] ?? 'proxy')
  const as = asOf(item, http, given)
  const pairs = list(http['headers']).map((pair): readonly [string, string] => [String((pair as unknown[])[0]), expand(String((pair as unknown[])[1]), sender)])
  const own = pairs.some(([name]) => name.toLowerCase() === 'authorization')
  const bearer: readonly (readonly [string, string])[] = as === undefined || own ? [] : [['Authorization', `Bearer ${bearerOf(as, world.directory, world.now())}`]]
  const method = String(http['method'] ?? 'GET')
  const target = expand(String(http['target'] ?? '/'), sender)
  const body = http['body'] === undefined ? undefined : bytesOf(http['body'], sender)
  const host = String(http['host'] ?? (wanted === 'console' ? 'console.test' : wanted === 'mcp' ? 'mcp.test' : wanted === 'admin' || wanted === 'health' ? '127.0.0.1' : 'app.test'))
  if (wanted !== 'console') return compose({ method, target, host, pairs: [...bearer, ...pairs], body, as, listener: wanted === 'admin' || wanted === 'health' ? 'admin' : 'http', ...(http['sni'] === undefined ? {} : { sni: String(http['sni']) }) })
  const endpoint = endpointOf(method, target, body?.toString())
  const ballot = endpoint.glass !== undefined ? Buffer.from(glassBody(sender, endpoint.glass, body?.toString() ?? '')) : endpoint.vote === undefined ? body : Buffer.from(sender.ballot(endpoint.target, endpoint.vote, body?.toString() ?? '{}'))
  const typed = body === undefined || pairs.some(([name]) => name.toLowerCase() === 'content-type') ? pairs : ([['Content-Type', 'application/json'], ...pairs] as const)
  return compose({ method: endpoint.method, target: endpoint.target, host, pairs: [...bearer, ...typed], body: ballot, as, listener: 'console', absent: endpoint.absent === true })
}

/** The digest is what the cases leave out. */
const glassBody = ({ world }: Sender, hold: string, body: string): string => {
  const { request: _request, ...rest } = JSON.parse(body) as Tree
  return JSON.stringify({ digest: digestOfHold(world, hold), ...rest })
}

const mcpMessage = (item: Tree, text: string, sender: Sender): Message => {
  const as = asOf(item, {}, sender.given)
  const more = list(item['headers']).map((pair): readonly [string, string] => [String((pair as unknown[])[0]), String((pair as unknown[])[1])])
  const bearer: readonly (readonly [string, string])[] = as === undefined ? [] : [['Authorization', `Bearer ${bearerOf(as, sender.world.directory, sender.world.now())}`]]
  return compose({ method: 'POST', target: '/mcp', host: 'mcp.test', pairs: [...bearer, ['Content-Type', 'application/json'], ['Accept', 'application/json, text/event-stream'], ...more], body: Buffer.from(expand(text, sender)), as, listener: 'http' })
}

/** Numbers written as text stand for times only; anything else in a claim keeps its type. */
const claimsOf = (claims: unknown, sender: Sender): Record<string, unknown> =>
  Object.fromEntries(Object.entries((claims ?? {}) as Tree).map(([name, value]) => [name, typeof value === 'string' ? (/^\{\{now[+-]\d+\}\}$/.test(value) ? Number(expand(value, sender)) : expand(value, sender)) : value]))

const jwtMessage = (jwt: Tree, sender: Sender): Message => {
  if (jwt['jwe'] === true) {
    const parts = ['{"alg":"RSA-OAEP","enc":"A256GCM","zip":"DEF"}', 'k'.repeat(256), 'i'.repeat(12), 'c'.repeat(4_096), 't'.repeat(16)]
    return compose({ method: 'GET', target: '/public/x', host: 'app.test', pairs: [['Authorization', `Bearer ${parts.map((part) => Buffer.from(part).toString('base64url')).join('.')}`]], body: undefined, as: undefined, listener: 'http' })
  }
  const header = Object.fromEntries(Object.entries((jwt['header'] ?? {}) as Tree).map(([name, value]) => [name, typeof value === 'string' ? expand(value, sender) : value]))
  const change: TokenChange = { header, claims: claimsOf(jwt['claims'], sender), remove: list(jwt['remove']).map(String), remove_header: list(jwt['remove_header']).map(String), ...(jwt['key'] === undefined ? {} : { key: String(jwt['key']) }), ...(jwt['issuer'] === undefined ? {} : { issuer: String(jwt['issuer']) }) }
  const token = makeToken(change, sender.world.now())
  const sub = change.claims?.['sub'] ?? 'u-req-a'
  const message = compose({ method: String(jwt['method'] ?? 'GET'), target: String(jwt['target'] ?? '/public/x'), host: String(jwt['host'] ?? 'app.test'), pairs: [['Authorization', `Bearer ${token}`]], body: typeof jwt['body'] === 'string' ? Buffer.from(jwt['body']) : undefined, as: undefined, listener: 'http' })
  return { ...message, user: String(sub) }
}

/** Writes the message on a new connection, or on one that is open already. */
export const send = (sender: Sender, message: Message, { ref, socket, replica }: { readonly ref: string; readonly socket?: string; readonly replica?: string }): Exchange => {
  const { world } = sender
  const open = socket === undefined ? undefined : sender.sockets.get(socket)
  const line = open ?? { wire: connectWire(world.replica(replica).ports[message.listener], message.sni), sent: 0 }
  if (socket !== undefined) sender.sockets.set(socket, line)
  const exchange: Exchange = { ref, wire: line.wire, index: line.sent, sent: message, replica, before: world.events().length, at: performance.now(), wasHeld: false }
  line.sent++
  if (message.perSecond === undefined) line.wire.write(message.bytes)
  else void trickle(line.wire, message.bytes, message.perSecond)
  sender.exchanges.push(exchange)
  return exchange
}

const trickle = async (wire: Wire, bytes: Buffer, perSecond: number): Promise<void> => {
  for (let at = 0; at < bytes.length && !wire.closed(); at++) {
    wire.write(bytes.subarray(at, at + 1))
    await pause(1_000 / perSecond)
  }
}

/** Answered, closed, or known to wait for an approval: whichever comes first. */
export const settleOrHeld = async (sender: Sender, exchange: Exchange, withinMs: number): Promise<void> => {
  const end = performance.now() + withinMs
  for (let look = 10; exchange.reply === undefined || exchange.reply === 'silent'; look = Math.min(160, look * 2)) {
    const reply = await exchange.wire.reply(exchange.index, look, exchange.sent.method)
    exchange.reply = reply
    if (reply !== 'silent') break
    if (findHold(sender, exchange) !== undefined) {
      exchange.wasHeld = true
      return
    }
    if (performance.now() > end) return
    if (exchange.wire.rest().length > 4_096 && performance.now() > exchange.at + 500) return // an answer that takes its time
  }
  findHold(sender, exchange)
}

/** The hold of this exchange: told in the answer, or the first one on record that is its own. */
const findHold = (sender: Sender, exchange: Exchange): string | undefined => {
  if (exchange.hold !== undefined) return exchange.hold
  const { reply } = exchange
  const told = reply !== undefined && typeof reply === 'object' ? headerOf(reply, 'countersign-hold') : undefined
  const claimed = new Set(sender.exchanges.filter((other) => other !== exchange && other.before >= exchange.before).map(({ hold }) => hold))
  const event = sender.world.events().slice(exchange.before).find((one): one is Recorded & { type: 'held' | 'attached' } => (one.type === 'held' || one.type === 'attached') && (exchange.sent.user === undefined || one.caller.subject === exchange.sent.user) && !claimed.has(one.hold))
  const hold = told ?? event?.hold
  if (hold !== undefined) exchange.hold = hold
  if (event !== undefined || (typeof reply === 'object' && reply.status === 202)) exchange.wasHeld = true
  return hold
}

export const finalReply = async (exchange: Exchange, withinMs: number): Promise<Reply | 'closed' | 'silent'> => {
  if (exchange.reply === undefined || exchange.reply === 'silent') exchange.reply = await exchange.wire.reply(exchange.index, withinMs, exchange.sent.method)
  return exchange.reply
}

export const isUpgrade = ({ bytes }: Message): boolean => websocketNames.some((name) => bytes.toString('latin1').toLowerCase().includes(`\r\n${name}:`))

export const digestOfHold = (world: World, hold: string): string =>
  world.events().flatMap((event) => (event.type === 'held' && event.hold === hold ? [event.digest] : []))[0] ?? pending(`no record of hold ${hold}`)
