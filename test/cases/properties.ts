import { setTimeout as pause } from 'node:timers/promises'
import { inTheEnd } from '../support/until.ts'
import { setBehaviour } from './behaviours.ts'
import { draws } from './draws.ts'
import { finalReply, messageOf, settleOrHeld, type Exchange, type Message, type Sender } from './exchange.ts'
import { isTree, kindOf, type Case, type Run, type Tree } from './loader.ts'
import { allSeen, jsonOf, statusText, viewOf, vote } from './observation.ts'
import { monotonicDeny } from './monotonic.ts'
import { Failed, fail, pending } from './outcome.ts'
import { pgMatrix } from './postgres/pg-matrix.ts'
import { makeToken } from './principals.ts'
import { applyRules, applySettings } from './translate.ts'
import { connectWire, type Wire } from './wire-client.ts'
import { startWorld, type World } from './world.ts'

/* The three properties that find whole classes: split invariance, equal views, the mutation matrix. Bounded in time; what a run drew is told by its seed. */

export interface Property {
  readonly id: string
  readonly title: string
  run(cases: readonly Case[], seed: number): Promise<string>
}

const senderOf = (world: World, given: Tree): Sender => ({ world, given, exchanges: [], sockets: new Map(), ballot: (_target, _verdict, body) => body, hold: () => fail('no hold is named here') })

const openWorld = async (): Promise<World> => {
  const world = await startWorld({
    change(profile) {
      // Nobody waits: what is held is answered at once, so that answers can be compared.
      for (const service of Object.values(profile.config['services'] as Record<string, { routes: { hold: object }[] }>)) for (const route of service.routes) route.hold = { wait: '0s' }
      applySettings(profile, { body_timeout: 'PT1S', holds_per_principal: 100_000 })
    },
  })
  setBehaviour(world, undefined)
  return world
}

interface Stream {
  readonly label: string
  readonly message: Message
}

/** Every request of the three areas that has no world of its own. */
const streamsOf = (cases: readonly Case[], world: World, most: number): readonly Stream[] =>
  cases.filter(({ area }) => ['path', 'headers', 'framing'].includes(area)).flatMap(({ id, runs }) =>
    runs.flatMap((run, index) => {
      const kind = kindOf(run.item)
      if ((kind !== 'http' && kind !== 'raw') || run.given['rules'] !== undefined || run.given['settings'] !== undefined || run.given['state'] !== undefined || isTree(run.given['upstream'])) return []
      const http = run.item['http']
      if (isTree(http) && (http['sni'] !== undefined || (http['listener'] !== undefined && http['listener'] !== 'proxy'))) return []
      const message = messageOf(run.item, senderOf(world, run.given))
      return message.bytes.length > most ? [] : [{ label: `${id} ${index + 1}`, message }]
    }),
  )

type Pieces = (bytes: Buffer) => readonly Buffer[]

const whole: Pieces = (bytes) => [bytes]
const cutAt = (...places: readonly number[]): Pieces => (bytes) => {
  const ends = [...new Set([...places.filter((place) => place > 0 && place < bytes.length), bytes.length])].toSorted((a, b) => a - b)
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
}

/** What everybody saw, without what differs from run to run by nature. */
const outcomeOf = async (world: World, message: Message, pieces: Pieces, quietMs = 4_000): Promise<string> => {
  const before = new Set(allSeen(world))
  const events = world.events().length
  const wire = connectWire(world.first().ports.http)
  for (const piece of pieces(message.bytes)) {
    wire.write(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const reply = await wire.reply(0, quietMs, message.method)
  wire.destroy()
  const seen = allSeen(world).filter((one) => !before.has(one)).map(({ stub, head, body }) => `${stub} ${steady(head)} ${body.toString('base64')}`)
  const decided = world.events().slice(events).flatMap((event) => (event.type === 'decided' || event.type === 'started' ? [`${event.decision.verdict} ${event.action.verb} ${event.action.digest}`] : []))
  const said = typeof reply === 'object' ? `${reply.status} ${String(jsonOf(reply)?.['code'] ?? reply.body.length)}` : reply
  return JSON.stringify({ said, seen, decided: [...new Set(decided)] })
}

const steady = (head: string): string => head.replace(/^(x-countersign-assertion): .*$/gim, '$1').replace(/^host: .*$/gim, '')

const splitInvariance: Property = {
  id: 'P1',
  title: 'Split invariance: segments of TCP decide nothing',
  async run(cases, seed) {
    const draw = draws(seed)
    await using world = await openWorld()
    const streams = streamsOf(cases, world, 4_000)
    const end = performance.now() + 10_000
    const failures: string[] = []
    let runs = 0
    const one = async ({ label, message }: Stream): Promise<void> => {
      const expected = await outcomeOf(world, message, whole)
      // Streams that never end are answered by a deadline: comparing many cuts of them would be waiting.
      if (expected.includes('"silent"') || expected.includes('408')) return
      const { length } = message.bytes
      const head = message.bytes.indexOf('\r\n\r\n')
      const random4 = Array.from({ length: 4 }, () => Math.floor(draw() * length))
      const ways: readonly (readonly [string, Pieces])[] = [['after the head', cutAt(head + 4)], ['in the line end', cutAt(head + 1, head + 3)], ['at random', cutAt(...random4)], ['in the request line', cutAt(1, message.method.length + 1)], ['before the last byte', cutAt(length - 1)], ...(length < 700 ? [['at every byte', cutAt(...Array.from({ length }, (_, at) => at))] as const] : [])]
      for (const [way, pieces] of ways) {
        if (performance.now() > end) return
        runs++
        const got = await outcomeOf(world, message, pieces)
        if (got !== expected) failures.push(`${label} cut ${way}: ${got.slice(0, 300)} instead of ${expected.slice(0, 300)}`)
      }
    }
    // One after the other: what the upstream saw belongs to the one that is being asked.
    const shuffled = streams.map((stream) => [draw(), stream] as const).toSorted(([a], [b]) => a - b).map(([, stream]) => stream)
    for (const stream of shuffled) if (performance.now() < end) await one(stream)
    const glued = await glue(world, shuffled, draw, failures, performance.now() + 4_000)
    if (failures.length > 0) fail(`${failures.length} of ${runs + glued} differ, such as ${failures[0]}`)
    return `${runs} cuts, ${glued} glued pairs`
  },
}

/** The last message of one segment gets the same treatment as the first. */
const glue = async (world: World, streams: readonly Stream[], draw: () => number, failures: string[], end: number): Promise<number> => {
  const first = messageOf({ http: { target: '/public/first' } }, senderOf(world, { as: 'req-b' }))
  let count = 0
  for (const { label, message } of streams) {
    if (performance.now() > end) break
    if (draw() < 0.4) continue
    const alone = await outcomeOf(world, message, whole)
    if (alone.includes('"silent"') || alone.includes('408')) continue
    const before = new Set(allSeen(world))
    const wire = connectWire(world.first().ports.http)
    wire.write(Buffer.concat([first.bytes, message.bytes]))
    await wire.reply(0, 2_000)
    const reply = await wire.reply(1, 4_000, message.method)
    wire.destroy()
    // The first may be on its way still when the second has broken the connection.
    for (let tries = 0; tries < 50 && !allSeen(world).some((one) => !before.has(one) && one.target === '/public/first'); tries++) await pause(5)
    const seen = allSeen(world).filter((one) => !before.has(one) && one.target !== '/public/first').map(({ stub, head, body }) => `${stub} ${steady(head)} ${body.toString('base64')}`)
    const expected = JSON.parse(alone) as { said: string; seen: string[] }
    const said = typeof reply === 'object' ? `${reply.status} ${String(jsonOf(reply)?.['code'] ?? reply.body.length)}` : reply
    count++
    // Behind an answer that is still under way a connection may be cut instead of answered.
    const refused = Number.parseInt(expected.said, 10) >= 400
    if (JSON.stringify(seen) !== JSON.stringify(expected.seen) || (said !== expected.said && !(refused && said === 'closed'))) failures.push(`${label} glued: ${said} ${seen.join().slice(0, 200)} instead of ${alone.slice(0, 400)}`)
  }
  return count
}

/** Bytes that parsers read differently, put somewhere into a target or a JSON text. */
const oddities = ['%2e', '%2E', '%2f', '..', '/./', '//', ';', ';x=1', '%5c', '%00', '%25', '%252e', '?', '&', '=', '#', '+', '%20', '~', '%7e', '%41', 'A', '\u00e9', '"', '{', '\\u0041', ' ', '\t', '1e2', '[0]']

const mutate = (text: string, draw: () => number): string => {
  const at = Math.floor(draw() * (text.length + 1))
  const odd = oddities[Math.floor(draw() * oddities.length)] ?? ''
  return draw() < 0.3 ? text.slice(0, at) + text.slice(at + 1) : text.slice(0, at) + odd + text.slice(at)
}

const viewEquality: Property = {
  id: 'P2',
  title: 'Equal views: what is judged, shown, bound and sent is one value',
  async run(_cases, seed) {
    const draw = draws(seed)
    await using world = await openWorld()
    const targets = ['/admin/users', '/admin/users?x=1&y=2', '/admin/a%20b/c', '/admin/x/../users', '/admin/%7euser?q=%26']
    const bodies = ['{"id":1}', '{"a":{"b":[1,2,{"c":"d"}]}}', 'plain text', '{"n":9007199254740993}', '']
    const end = performance.now() + inTheEnd
    let held = 0
    let allowed = 0
    let refused = 0
    while (performance.now() < end && held + allowed + refused < 600) {
      const target = mutate(targets[Math.floor(draw() * targets.length)] ?? '/', draw)
      const body = mutate(bodies[Math.floor(draw() * bodies.length)] ?? '', draw)
      const marker = `m${Math.floor(draw() * 1e9)}`
      const item: Tree = { http: { as: 'req-a', method: 'POST', target, headers: [['Content-Type', body.startsWith('{') ? 'application/json' : 'text/plain'], ['X-Env', marker]], body: Buffer.from(body).toString('latin1') } }
      const message = messageOf(item, senderOf(world, {}))
      const before = new Set(allSeen(world))
      const seen = () => allSeen(world).filter((one) => !before.has(one))
      const wire = connectWire(world.first().ports.http)
      wire.write(message.bytes)
      const reply = await wire.reply(0, 10_000)
      wire.destroy()
      const hold = typeof reply === 'object' ? reply.headers.find(([name]) => name.toLowerCase() === 'countersign-hold')?.[1] : undefined
      if (hold === undefined) {
        if (seen().length > 0) {
          allowed++
          sameBytes(message, seen()[0]?.raw)
        } else refused++
        continue
      }
      held++
      if (seen().length > 0) fail(`${target}: the upstream saw a held request`)
      const view = await viewOf(world, hold)
      const event = world.events().find((one) => one.type === 'held' && one.hold === hold)
      if (view === undefined || event?.type !== 'held') return fail(`${target}: the hold cannot be seen`)
      const line = view.action.text.split('\n')[0] ?? ''
      const [method, shownTarget = ''] = line.split(' ')
      if (view.action.digest !== event.digest || event.digest !== event.action.digest) fail(`${target}: shown and bound under two digests`)
      if (event.action.resources[0]?.name !== equivalent(shownTarget.split('?')[0] ?? '')) fail(`${target}: judged ${event.action.resources[0]?.name}, shown ${shownTarget}`)
      const said = await vote(world, 'appr-a', hold, 'approve', { digest: view.action.digest })
      if (statusText(said) !== '200') fail(`${target}: the approval was answered ${statusText(said)}`)
      const again = connectWire(world.first().ports.http)
      again.write(message.bytes)
      const ran = await again.reply(0, 10_000)
      again.destroy()
      const [sent] = seen()
      if (seen().length !== 1 || sent === undefined) return fail(`${target}: approved, then answered ${statusText(ran)}; the upstream saw ${seen().length} requests`)
      if (sent.method !== method || sent.target !== shownTarget) fail(`${target}: shown ${line}, sent ${sent.method} ${sent.target}`)
      if (!sent.body.equals(message.bytes.subarray(message.bytes.indexOf('\r\n\r\n') + 4))) fail(`${target}: another body was sent`)
      if (!sent.head.toLowerCase().includes(`x-countersign-action: ${event.digest}`)) fail(`${target}: sent under another digest`)
    }
    if (held < 20) fail(`only ${held} held requests were looked at (${allowed} allowed, ${refused} refused)`)
    return `${held} held, ${allowed} allowed, ${refused} refused`
  },
}

/** The one other spelling that RFC 3986 knows for the same path: an escape of a character that needs none. */
const equivalent = (path: string): string => path.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => (/[A-Za-z0-9._~-]/.test(String.fromCharCode(Number.parseInt(hex, 16))) ? String.fromCharCode(Number.parseInt(hex, 16)) : escape.toUpperCase()))

const sameBytes = (message: Message, raw: Buffer | undefined): void => {
  const body = message.bytes.subarray(message.bytes.indexOf('\r\n\r\n') + 4)
  if (raw === undefined || !raw.subarray(raw.indexOf('\r\n\r\n') + 4).equals(body)) fail('an allowed request reached its upstream with another body')
}

const matrixBase = { host: 'app.test', method: 'POST', target: '/admin/users?x=1', headers: [['Content-Type', 'application/json'], ['X-Env', 'staging']], body: '{"id":1}' }

const mutants: Readonly<Record<string, Tree>> = {
  method: { method: 'DELETE' },
  host: { host: 'api.test', target: '/api/admin/users?x=1' },
  path: { target: '/admin/user?x=1' },
  'path-case': { target: '/admin/Users?x=1' },
  query: { target: '/admin/users?x=2' },
  'query-order': { target: '/admin/users?x=1&' },
  'header content-type': { headers: [['Content-Type', 'application/json; charset=utf-8'], ['X-Env', 'staging']] },
  'header x-env': { headers: [['Content-Type', 'application/json'], ['X-Env', 'production']] },
  'header gone': { headers: [['Content-Type', 'application/json']] },
  'header more': { headers: [['Content-Type', 'application/json'], ['X-Env', 'staging'], ['X-More', '1']] },
  'body-first-byte': { body: ' "id":1}' },
  'body-last-byte': { body: '{"id":1]' },
  'body-length': { body: '{"id":1} ' },
  'tool-argument': { body: '{"id":2}' },
  'principal-subject': { as: 'req-b' },
  'agent-id': { as: 'agent-a' },
}

const mutationMatrix: Property = {
  id: 'P3',
  title: 'Mutation matrix (J01): one approval is for one action of one caller',
  async run() {
    await using world = await openWorld()
    const elsewhere = `Bearer ${makeToken({ issuer: 'idp-b', claims: { sub: 'u-req-a', groups: ['dev'] } }, world.now())}`
    await matrix(world, (change) => ({ http: { as: 'req-a', ...matrixBase, ...change } }), { ...mutants, 'principal-issuer': { headers: [...matrixBase.headers, ['Authorization', elsewhere]] } })
    const call = (id: number, tool: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${tool}","arguments":{"id":${id}}}}`
    await matrix(world, (change) => ({ mcp: call(1, 'delete_item'), as: 'agent-a', ...change }), { 'tool-name': { mcp: call(1, 'read_items') }, 'tool-argument': { mcp: call(2, 'delete_item') }, 'agent-id': { as: 'agent-appr-a' }, 'delegation-chain': { as: 'req-a' }, 'header more': { headers: [['X-More', '1']] } })
    await policyHash(world)
    return `${Object.keys(mutants).length + 6 + (await pgMatrix())} mutants over HTTP, MCP and PostgreSQL; MySQL is not spoken yet`
  },
}

const exchangeOnce = async (world: World, item: Tree, hold?: string): Promise<{ readonly exchange: Exchange; readonly wire: Wire }> => {
  const sender = senderOf(world, {})
  const named = hold === undefined ? item : isTree(item['http']) ? { ...item, http: { ...item['http'], headers: [...(item['http']['headers'] as unknown[]), ['Countersign-Hold', hold]] } } : { ...item, headers: [...((item['headers'] as unknown[] | undefined) ?? []), ['Countersign-Hold', hold]] }
  const message = messageOf(named, sender)
  const wire = connectWire(world.first().ports.http)
  wire.write(message.bytes)
  const exchange: Exchange = { ref: 'it', wire, index: 0, sent: message, replica: undefined, before: world.events().length, at: performance.now(), wasHeld: false }
  await finalReply(exchange, 10_000) // nobody waits in this world: every answer comes at once
  await settleOrHeld(sender, exchange, 0)
  wire.destroy()
  return { exchange, wire }
}

const matrix = async (world: World, itemOf: (change: Tree) => Tree, changes: Readonly<Record<string, Tree>>): Promise<void> => {
  const { exchange } = await exchangeOnce(world, itemOf({}))
  const hold = exchange.hold ?? fail(`the action was not held: ${statusText(exchange.reply)}`)
  const said = await vote(world, 'appr-b', hold, 'approve')
  if (statusText(said) !== '200') fail(`the approval was answered ${statusText(said)}`)
  const before = new Set(allSeen(world))
  for (const [name, change] of Object.entries(changes))
    for (const naming of [undefined, hold]) {
      const mutant = await exchangeOnce(world, itemOf(change), naming)
      if (mutant.exchange.hold === hold && naming === undefined) fail(`${name}: the mutant found the approval of another action`)
      if (allSeen(world).some((one) => !before.has(one))) fail(`${name}: the mutant ran`)
      const view = await viewOf(world, hold)
      if (view?.state !== 'approved') fail(`${name}: the approval is ${view?.state} after the mutant`)
    }
  const first = await exchangeOnce(world, itemOf({}), hold)
  const second = await exchangeOnce(world, itemOf({}), hold)
  const ran = allSeen(world).filter((one) => !before.has(one)).length
  if (ran !== 1) fail(`the original ran ${ran} times (${statusText(first.exchange.reply)}, then ${statusText(second.exchange.reply)})`)
  if (statusText(second.exchange.reply) !== '409') fail(`the second use was answered ${statusText(second.exchange.reply)}`)
}

/** Another policy in force at release that asks for more: the approval of before does not do. */
const policyHash = async (world: World): Promise<void> => {
  const item: Tree = { http: { as: 'req-a', ...matrixBase, target: '/admin/policy' } }
  const { exchange } = await exchangeOnce(world, item)
  const hold = exchange.hold ?? fail('the action was not held')
  await vote(world, 'appr-b', hold, 'approve')
  const before = allSeen(world).length
  const results = await world.reload((profile) => applyRules(profile, [{ effect: 'approve', method: 'POST', path: '/admin/policy', approvers: { group: 'security' }, need: 1 }]))
  if (!results.every(({ applied }) => applied)) fail(`the reload was refused: ${results[0]?.problems[0]}`)
  const again = await exchangeOnce(world, item, hold)
  await pause(20)
  if (allSeen(world).length !== before) fail('an approval under another policy was enough for one that asks for more')
  if (typeof again.exchange.reply === 'object' && again.exchange.reply.status < 400) fail(`answered ${again.exchange.reply.status}`)
}

export const properties: readonly Property[] = [splitInvariance, viewEquality, mutationMatrix]

export const runProperty = async (property: Property, cases: readonly Case[], seed: number): Promise<{ readonly result: 'pass' | 'fail'; readonly reason?: string }> => {
  try {
    return { result: 'pass', reason: await (property === mutationMatrix ? matrixOnce() : property.run(cases, seed)) }
  } catch (error) {
    return { result: 'fail', reason: `seed ${seed}: ${error instanceof Failed ? error.message : error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 3).join(' ') : String(error)}` }
  }
}

let matrixRun: Promise<string> | undefined
/** The matrix runs once, whoever asks for it. */
const matrixOnce = (): Promise<string> => (matrixRun ??= mutationMatrix.run([], 0))

/** A case that is a property. */
export const runAsCase = async ({ id }: Case, { item }: Pick<Run, 'item'>): Promise<void> => {
  if (item['property'] === 'mutation-matrix') {
    await matrixOnce()
    const bases = (item['base'] as readonly Tree[]).map(({ name }) => String(name))
    if (bases.includes('mysql')) pending(`${bases.filter((name) => name !== 'mysql').join(', ')} pass; MySQL is not spoken yet`)
  } else if (item['property'] === 'monotonic-deny' && isTree(item['generate'])) {
    const { runs, requests } = item['generate']
    await monotonicDeny(Number(process.env['CASES_SEED'] ?? Math.floor(Math.random() * 2 ** 31)), { runs: Number(runs), requests: Number(requests) })
  } else pending(`${id}: no property is called ${String(item['property'])} here`)
}
