import { inTheEnd, until } from '../support/until.ts'
import { startBrowsers, type Browsers } from './browsers.ts'
import { digestOfHold, finalReply, messageOf, send, settleOrHeld, type Exchange, type Sender } from './exchange.ts'
import { eventTest } from './names.ts'
import type { Case, Run, Tree } from './loader.ts'
import { api, ask, breakGlass, openHold, requesterApi, statusText, vote } from './observation.ts'
import { fail, pending } from './outcome.ts'
import { startPgWorld, type PgWorld } from './postgres/pg-world.ts'
import { decide, observePg, playOf, sendPlay, settle, type PgObservation } from './postgres/play.ts'
import { makeToken } from './principals.ts'
import type { Profile } from './profile.ts'
import { answer } from './stub.ts'
import { put } from './translate.ts'
import type { Recorded, World } from './world.ts'

/* M04: one action of each kind over each protocol, and whether the log and the program's own trace know of the same. */

export const isEveryPath = ({ item }: Run): boolean => String((item['steps'] as readonly Tree[] | undefined)?.[0]?.['do']).startsWith('run one action for each row')

const demand = (holds: boolean, why: string): void => void (holds || fail(why))

const status = (what: string, got: Parameters<typeof statusText>[0], ...wanted: readonly string[]): void => demand(wanted.includes(statusText(got)), `${what} was answered ${statusText(got)}, not ${wanted.join(' or ')}`)

/** One protocol as the rows see it. Each way ends when its answer has come. */
interface Spoken {
  readonly name: string
  allow(): Promise<void>
  deny(): Promise<void>
  /** Held; what somebody does with it decides how it ends. */
  hold(then: (hold: string) => Promise<void>): Promise<void>
  failing(): Promise<void>
}

const tool = (name: string): string => JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } })

const overHttp = (sender: Sender, name: string, items: { readonly allow: Tree; readonly deny: Tree; readonly hold: (number: number) => Tree; readonly failing: Tree }): Spoken => {
  const sent = async (item: Tree): Promise<Exchange> => {
    const exchange = send(sender, messageOf(item, sender), { ref: `${name}-${sender.exchanges.length}` })
    await settleOrHeld(sender, exchange, inTheEnd)
    return exchange
  }
  const replied = async (item: Tree, ...wanted: readonly string[]): Promise<void> => status(`${name} ${JSON.stringify(item).slice(0, 80)}`, (await sent(item)).reply, ...wanted)
  return {
    name,
    allow: () => replied(items.allow, '200'),
    deny: () => replied(items.deny, '403'),
    failing: () => replied(items.failing, '500', '502', '503'),
    async hold(then) {
      const exchange = await sent(items.hold(sender.exchanges.length))
      await then(exchange.hold ?? fail(`${name}: nothing was held (${statusText(exchange.reply)})`))
      await finalReply(exchange, inTheEnd)
      exchange.wire.destroy()
    },
  }
}

const overPostgres = (seen: PgObservation, how: 'simple' | 'prepared'): Spoken => {
  const name = `PostgreSQL ${how}`
  let count = 0
  const sent = async (sql: string) => await sendPlay(seen, playOf(seen, { pg: sql }, how), { ref: `${name}-${count++}`, as: 'req-a' })
  const over = async (sql: string): Promise<void> => {
    const exchange = await sent(sql)
    if ((await settle(seen, exchange)) !== undefined) fail(`${name}: ${sql} was held`)
    demand(exchange.end !== undefined, `${name}: ${sql} was not answered`)
    exchange.client.end()
  }
  return {
    name,
    allow: () => over('SELECT a FROM t'),
    deny: () => over('CREATE TABLE elsewhere (i int)'),
    failing: () => over('SELECT 1 / (a - a) FROM t'),
    async hold(then) {
      const exchange = await sent(`DELETE FROM t WHERE id = ${100 + count}`)
      await then((await settle(seen, exchange)) ?? fail(`${name}: nothing was held`))
      await settle(seen, exchange)
      exchange.client.end()
    },
  }
}

const isOf = (name: string, hold: string) => (event: Recorded): boolean => eventTest(name)(event) && 'hold' in event && event.hold === hold

/** The rows that every protocol has. */
const rows = async (spoken: Spoken, world: World, seen: PgObservation): Promise<void> => {
  const recorded = async (name: string, hold: string): Promise<void> => void (await until(`${spoken.name}: ${name} to be on record`, () => world.events().some(isOf(name, hold))))
  await spoken.allow()
  await spoken.deny()
  await spoken.failing()
  await spoken.hold(async (hold) => {
    await decide(seen, hold, 'approve')
    for (const name of ['hold.opened', 'vote.approve', 'approval.consumed', 'upstream.result']) await recorded(name, hold)
  })
  await spoken.hold(async (hold) => {
    await decide(seen, hold, 'deny')
    await recorded('vote.reject', hold)
  })
  await spoken.hold(async (hold) => {
    // Nobody votes on what they ask for themselves.
    status('a vote of somebody who may not', await vote(world, 'req-b', hold, 'approve'), '403', '404')
    status('a withdrawal', await requesterApi(world, 'req-a', 'DELETE', `/.countersign/holds/${hold}`), '200', '204')
    await recorded('hold.cancelled', hold)
  })
  await spoken.hold(async (hold) => {
    world.clock.allMs += 16 * 60_000
    await recorded('hold.expired', hold)
  })
}

/** Those that belong to no protocol: they are about people and the program. */
const others = async (world: World, sender: Sender): Promise<void> => {
  const critical = openHold(sender, 'req-a', '/admin/critical/x', 'critical', '{}', 'wait')
  await settleOrHeld(sender, critical, 5_000)
  const hold = critical.hold ?? fail('nothing was held')
  status('a first vote', await vote(world, 'appr-a', hold, 'approve'), '200')
  status('a second vote', await vote(world, 'appr-b', hold, 'approve'), '200')
  status('what two people let through', await finalReply(critical, inTheEnd), '200')
  const urgent = openHold(sender, 'req-a', '/admin/urgent', 'urgent', '{}', 'wait')
  await settleOrHeld(sender, urgent, 5_000)
  status('a refused release', await breakGlass(world, 'appr-a', urgent.hold ?? '', 'production is down, ticket 4711'), '403', '404')
  status('a release in an emergency', await breakGlass(world, 'root-b', urgent.hold ?? '', 'production is down, ticket 4711'), '200')
  status('what was released', await finalReply(urgent, inTheEnd), '200')
  const refused = await ask(world, 'http', `GET /public/x HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${makeToken({ key: 'attacker/x1' }, world.now())}\r\nConnection: close\r\n\r\n`)
  status('a login with a forged token', refused, '401')
  status('a look into the log', await api(world, 'sec-a', 'GET', '/api/audit?service=app'), '200')
  status('a look of somebody who may not', await api(world, 'req-b', 'GET', '/api/audit'), '403')
  const loaded = await world.reload((profile) => void profile.policies[0]?.rules.push({ name: 'one-more', then: 'deny', methods: ['PURGE'] }))
  demand(loaded.every(({ applied }) => applied), 'a configuration was not loaded')
  const bad = await world.reload((profile) => void profile.policies[0]?.rules.push({ name: 'one-more', then: 'deny', methods: ['PURGE'] }))
  demand(bad.every(({ applied }) => !applied), 'a configuration with two rules of one name was loaded')
}

const ofAccount = (type: string, subject: string) => (event: Recorded): boolean => event.type === type && (('caller' in event && event.caller?.subject === subject) || ('by' in event && event.by?.subject === subject))

/** People with a browser: in, out, not in, and away with what a reader may take. */
const logins = async (world: World, browsers: Browsers): Promise<void> => {
  const recorded = async (what: string, holds: (event: Recorded) => boolean): Promise<void> => void (await until(`${what} to be on record`, () => world.events().some(holds)))
  await browsers.logIn(world, 'sec-a')
  await recorded('a login', ofAccount('signed-in', 'sec-a'))
  const exported = await browsers.visit(world, 'sec-a', '/api/audit/export?service=app')
  status('an export', exported, '200')
  demand(exported.body.toString().includes('"type":"started"'), 'nothing was exported')
  for (const end of [undefined, 'whole']) await recorded(`an export (${end ?? 'its begin'})`, (event) => event.type === 'audit-exported' && event.by.subject === 'sec-a' && event.end === end)
  await browsers.logIn(world, 'req-a')
  status('an export of somebody who may not', await browsers.visit(world, 'req-a', '/api/audit/export'), '403')
  await recorded('a refused export', (event) => event.type === 'audit-read-refused' && event.query.startsWith('export '))
  const page = await browsers.visit(world, 'req-a', '/')
  status('a logout', await browsers.visit(world, 'req-a', '/oauth2/logout', { csrf: /name="csrf" value="([^"]*)"/.exec(page.body.toString())?.[1] ?? '' }), '303')
  await recorded('a logout', (event) => event.type === 'session-ended')
  const { pathname, search } = await browsers.begin(world, 'stranger', 'req-b')
  status('a login with the code of somebody else', await browsers.visit(world, 'stranger', `${pathname}${search.replace(/code=[^&]*/, 'code=guessed')}`), '400')
  await recorded('a failed login', (event) => event.type === 'authentication-failed' && event.from === 'sign-in')
}

const types = ['decided', 'started', 'finished', 'held', 'voted', 'vote-refused', 'hold-expired', 'hold-withdrawn', 'released', 'refused', 'broke-glass', 'break-glass-refused', 'authentication-failed', 'config-loaded', 'config-rejected', 'audit-read', 'audit-read-refused', 'audit-exported', 'signed-in', 'session-ended', 'replica-started'] as const

const check = (world: World): void => {
  const events = world.events()
  for (const type of types) demand(events.some((event) => event.type === type), `nothing of the type ${type} is on record`)
  const recorded = new Set(events.flatMap((event) => ('attempt' in event ? [event.attempt] : [])))
  const traced = new Set(world.log.flatMap(({ msg, attempt }) => (msg === 'an action is asked for' ? [String(attempt)] : [])))
  demand(traced.size > 25, `${traced.size} actions are in the trace`)
  for (const attempt of traced) demand(recorded.has(attempt), `${attempt} is in the trace, and not on record`)
  for (const attempt of recorded) demand(traced.has(attempt), `${attempt} is on record, and not in the trace`)
  const started = events.filter((event) => event.type === 'started')
  for (const event of started) {
    demand(event.type === 'started' && event.decision.policyVersion !== '', `the start of ${event.id} has no decision`)
    demand(events.filter((end) => (end.type === 'finished' || end.type === 'outcome-unknown') && event.type === 'started' && end.attempt === event.attempt).length === 1, `${event.id} has no end, or two`)
  }
  const byProtocol = new Map(started.map((event) => [event.type === 'started' ? event.action.protocol : '', event]))
  demand(byProtocol.has('http') && byProtocol.has('postgres'), 'one of the protocols is not on record')
}

export const runEveryPath = async (theCase: Case, run: Run, redisUrl: string | undefined): Promise<void> => {
  const own: Run = { ...run, given: { ...run.given, settings: { log_level: 'debug' } } }
  await using people = await startBrowsers()
  const change = (profile: Profile): void => {
    people.change(profile)
    put(profile.config, ['audit', 'readers'], { groups: ['security'] })
  }
  await using place: PgWorld = await startPgWorld(own, { change, env: people.env, ...(redisUrl === undefined ? {} : { redisUrl }) })
  const { world } = place
  world.stubs.get('app')?.behave(({ target }) => (target.startsWith('/public/fail') ? answer('no', [], '500 Internal Server Error') : answer('ok')))
  world.stubs.get('mcp')?.behave(({ body }) => answer(body.includes('"unwell"') ? 'no' : '{"jsonrpc":"2.0","id":1,"result":{}}', ['Content-Type: application/json'], body.includes('"unwell"') ? '500 Internal Server Error' : '200 OK'))
  const seen = await observePg(theCase, own, place)
  const sender: Sender = { world, given: own.given, exchanges: [], sockets: new Map(), ballot: (_target, _verdict, body) => body, hold: (ref) => ({ id: ref, digest: digestOfHold(world, ref) }) }
  try {
    const protocols = [
      overHttp(sender, 'HTTP', { allow: { http: { target: '/public/x' } }, deny: { http: { target: '/internal/x' } }, hold: (number) => ({ http: { method: 'POST', target: '/admin/users', body: `{"n":${number}}` } }), failing: { http: { target: '/public/fail' } } }),
      overHttp(sender, 'MCP', { allow: { mcp: tool('read_item') }, deny: { mcp: tool('drop_table') }, hold: (number) => ({ mcp: tool('delete_item').replace('{}', `{"n":${number}}`) }), failing: { mcp: tool('read_item').replace('{}', '{"unwell":true}') } }),
      overPostgres(seen, 'simple'),
      overPostgres(seen, 'prepared'),
    ]
    // While the identity provider and this world have the same time: holds expire by a clock that is shifted.
    await protocols[0]?.allow()
    await logins(world, people.browsers)
    for (const spoken of protocols) await rows(spoken, world, seen)
    await others(world, sender)
    await until('the ends to be on record', () => {
      const ended = new Set(world.events().flatMap((event) => (event.type === 'finished' ? [event.attempt] : [])))
      return world.events().every((event) => event.type !== 'started' || ended.has(event.attempt))
    })
    check(world)
  } finally {
    for (const { wire } of sender.exchanges) wire.destroy()
    for (const client of new Set([...seen.exchanges.map((exchange) => exchange.client), ...seen.sessions.values()])) client.end()
  }
  pending('MySQL is not spoken yet')
}
