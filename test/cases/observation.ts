import type { ExplainingPolicySet } from '../../src/policy/policy-set.ts'
import type { Hold } from '../../src/model/hold.ts'
import { inTheEnd } from '../support/until.ts'
import { isTree } from './loader.ts'
import { pending } from './outcome.ts'
import { bearerOf, people } from './principals.ts'
import type { Seen } from './stub.ts'
import { connectWire, headerOf, type Reply } from './wire-client.ts'
import { digestOfHold, type Exchange, type Message, send, type Sender } from './exchange.ts'
import type { Case, Run, Tree } from './loader.ts'
import type { Recorded, World } from './world.ts'

/** What one run did, for its checks. */
export interface Observation {
  readonly theCase: Case
  readonly run: Run
  readonly world: World
  readonly sender: Sender
  /** Replies by `ref`, and the last of each kind of step. */
  readonly named: Map<string, Reply | 'closed' | 'silent'>
  /** Replies of a parallel step. */
  /** What keeps a run that passes from counting as passed. */
  readonly gaps: string[]
  readonly crowd: (Reply | 'closed' | 'silent')[]
  /** Policies that were in force while it ran, by version. */
  readonly policies: Map<string, ExplainingPolicySet>
  readonly views: Map<string, HoldView>
  readonly before: { readonly events: number; readonly seen: Set<Seen>; memory: number; readonly at: number }
  settled?: readonly Seen[]
  /** What the product's own runner of policy tests said. */
  test?: { readonly passed: boolean; readonly report: string }
  load?: { readonly ok: boolean; readonly problems: readonly string[] }
  ms: number
}

export interface HoldView {
  readonly state: Hold['state']
  readonly revision: number
  readonly action: { readonly text: string; readonly digest: string; readonly verb: string }
  readonly votes: readonly { readonly verdict: string; readonly by: { readonly issuer: string; readonly subject: string } }[]
  readonly terms: { readonly requirements: readonly unknown[] }
  readonly waiting?: boolean
  readonly [key: string]: unknown
}

export const allSeen = (world: World): readonly Seen[] => [...world.stubs.values()].flatMap(({ seen }) => seen)

/** What the upstreams saw of this run; once its sentences are checked, without what the checks themselves sent. */
export const seenOf = ({ world, before, settled }: Pick<Observation, 'world' | 'before' | 'settled'>): readonly Seen[] => settled ?? allSeen(world).filter((one) => !before.seen.has(one))

/** With what the checks sent. */
export const seenByNow = ({ world, before }: Pick<Observation, 'world' | 'before'>): readonly Seen[] => allSeen(world).filter((one) => !before.seen.has(one))

export const eventsOf = ({ world, before }: Pick<Observation, 'world' | 'before'>): readonly Recorded[] => world.events().slice(before.events)

/** One request of the runner's own, answered or not at all. */
export const ask = async (world: World, listener: Message['listener'], text: string, { replica, method = 'GET', withinMs = inTheEnd }: { readonly replica?: string; readonly method?: string; readonly withinMs?: number } = {}): Promise<Reply | 'closed' | 'silent'> => {
  const wire = connectWire(world.replica(replica).ports[listener])
  wire.write(text)
  const reply = await wire.reply(0, withinMs, method)
  wire.destroy()
  return reply
}

const request = (method: string, target: string, host: string, bearer: string, body?: string): string =>
  [`${method} ${target} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${bearer}`, 'Connection: close', ...(body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]), '', body ?? ''].join('\r\n')

export const api = (world: World, as: string, method: string, target: string, body?: unknown, replica?: string): Promise<Reply | 'closed' | 'silent'> =>
  ask(world, 'console', request(method, target, 'console.test', bearerOf(as, world.directory, world.now(replica)), body === undefined ? undefined : JSON.stringify(body)), { method, ...(replica === undefined ? {} : { replica }) })

/** A requester's own look, on the listener where it asked. */
export const requesterApi = (world: World, as: string, method: string, target: string): Promise<Reply | 'closed' | 'silent'> =>
  ask(world, 'http', request(method, target, 'app.test', bearerOf(as, world.directory, world.now())), { method })

export const vote = (world: World, by: string, hold: string, verdict: 'approve' | 'deny', more: { readonly digest?: string; readonly revision?: number; readonly reason?: string; readonly replica?: string } = {}): Promise<Reply | 'closed' | 'silent'> => {
  const { replica, digest = digestOfHold(world, hold), ...rest } = more
  return api(world, by, 'POST', `/api/holds/${hold}/votes`, { verdict, digest, ...rest }, replica)
}

/** Released alone, in an emergency. */
export const breakGlass = (world: World, by: string, hold: string, reason: string): Promise<Reply | 'closed' | 'silent'> => api(world, by, 'POST', `/api/holds/${hold}/break-glass`, { digest: digestOfHold(world, hold), reason })

export const jsonOf = (reply: Reply | 'closed' | 'silent' | undefined): Tree | undefined => {
  if (typeof reply !== 'object') return undefined
  try {
    const value: unknown = JSON.parse(reply.body.toString())
    return isTree(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** A hold as an approver sees it. */
export const viewOf = async (world: World, hold: string): Promise<HoldView | undefined> => {
  for (const by of ['appr-b', 'sec-a', 'root-a', 'appr-a']) {
    const reply = await api(world, by, 'GET', `/api/holds/${hold}`)
    if (typeof reply === 'object' && reply.status === 200) return jsonOf(reply) as unknown as HoldView
  }
  return undefined
}

export const holdOf = ({ sender }: Pick<Observation, 'sender'>, ref: string): string => exchangeOf(sender, ref)?.hold ?? pending(`${ref} has no hold`)

export const exchangeOf = (sender: Sender, ref: string): Exchange | undefined => sender.exchanges.findLast((exchange) => exchange.ref === ref)

/** A `POST` of a principal, answered at once with 202 or waiting. */
export const openHold = (sender: Sender, as: string, target: string, ref: string, body = '{}', how: 'async' | 'wait' = 'async'): Exchange => {
  const bearer = bearerOf(as, sender.world.directory, sender.world.now())
  const text = `POST ${target} HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${bearer}\r\n${how === 'async' ? 'Prefer: respond-async\r\n' : ''}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  return send(sender, { bytes: Buffer.from(text), method: 'POST', listener: 'http', as, user: people[as]?.act ?? people[as]?.sub, absent: false }, { ref })
}

export const statusText = (reply: Reply | 'closed' | 'silent' | undefined): string => (reply === undefined ? 'nothing' : typeof reply === 'string' ? reply : String(reply.status))

export { headerOf }
