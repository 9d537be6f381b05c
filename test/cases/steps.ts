import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Secret } from '../../src/lib/secret.ts'
import { openRedisStore } from '../../src/stores/redis/redis-store.ts'
import { startRedis } from '../support/redis.ts'
import { inTheEnd, until } from '../support/until.ts'
import { failName, setName } from './connect-log.ts'
import { doDeed } from './deeds.ts'
import { finalReply, messageOf, send, settleOrHeld } from './exchange.ts'
import { isTree, kindOf, list, type Tree } from './loader.ts'
import { channelOf, neverItem, notYetItem } from './names.ts'
import { ask, breakGlass, exchangeOf, holdOf, requesterApi, statusText, viewOf, vote, type Observation } from './observation.ts'
import { fail, inapplicable, pending } from './outcome.ts'
import { bearerOf, people, userOf } from './principals.ts'
import { loseSecret } from './secrets.ts'
import { clickInSlack, voteInSlack, switchOff } from './slack.ts'
import { applyRules, put, shiftOf } from './translate.ts'
import { connectWire, type Reply } from './wire-client.ts'
import type { World } from './world.ts'

/* The steps of the cases, in their order, on one world. */

type Step = (seen: Observation, given: Tree, number: number) => Promise<Reply | 'closed' | 'silent' | undefined>

/** Items by `ref`, to send them again. */
const items = new WeakMap<Observation, Map<string, Tree>>()
const itemsOf = (seen: Observation): Map<string, Tree> => items.get(seen) ?? items.set(seen, new Map()).get(seen) ?? new Map()

const sendStep: Step = async (seen, given, number) => {
  const kind = kindOf(given)
  if (Object.hasOwn(notYetItem, kind)) pending(notYetItem[kind] ?? kind)
  if (isTree(given['slack'])) return (await clickInSlack(seen, given['slack'], String(given['ref'] ?? 'click'))).reply
  const ref = String(given['ref'] ?? `send-${seen.sender.exchanges.length}`)
  const over = { ...seen.sender, number }
  const message = messageOf((await seen.world.browsers?.adapt(seen, given)) ?? given, over)
  itemsOf(seen).set(ref, given)
  const socket = given['socket'] === undefined ? undefined : String(given['socket'])
  const busy = socket !== undefined && seen.sender.exchanges.some((other) => other.wire === seen.sender.sockets.get(socket)?.wire && (other.reply === undefined || other.reply === 'silent'))
  const exchange = send(seen.sender, message, { ref, ...(socket === undefined ? {} : { socket }), ...(given['via'] === undefined ? {} : { replica: String(given['via']) }) })
  await settleOrHeld(seen.sender, exchange, busy ? 600 : 30_000)
  seen.world.browsers?.took(given, exchange.reply)
  if (exchange.hold !== undefined && !seen.views.has(ref)) {
    const view = await viewOf(seen.world, exchange.hold).catch(() => undefined)
    if (view !== undefined) seen.views.set(ref, view)
  }
  return exchange.reply
}

const voteStep = (verdict: 'approve' | 'deny', name: string): Step => async (seen, given) => {
  const ref = String(given['ref'])
  const { replica } = channelOf(String(given['via'] ?? 'console'))
  const exchange = exchangeOf(seen.sender, ref)
  if (exchange === undefined) return pending(`nothing is called ${ref}`)
  // Behind another request on its connection it may only now have been read.
  if (exchange.hold === undefined) await settleOrHeld(seen.sender, exchange, 2_000)
  if (exchange.hold === undefined) {
    if (typeof exchange.reply === 'object' && exchange.reply.status >= 400) return exchange.reply // refused, so there is nothing to decide
    return fail(`${ref} was not held: ${statusText(exchange.reply)}`)
  }
  const by = String(given['by'])
  const more = { ...(replica === undefined ? {} : { replica }), ...(given['revision'] === undefined ? {} : { revision: Number(given['revision']) }), ...(given['comment'] === undefined ? {} : { reason: String(given['comment']) }) }
  const reply = given['via'] === 'slack' ? await voteInSlack(seen, by, ref, verdict) : await vote(seen.world, by, exchange.hold, verdict, more)
  seen.named.set(name, reply)
  // What a vote sets free runs at once where its requester waits.
  if (typeof reply === 'object' && reply.status === 200 && (exchange.reply === undefined || exchange.reply === 'silent') && !exchange.wire.closed()) exchange.reply = await exchange.wire.reply(exchange.index, 700, exchange.sent.method)
  return reply
}

/** Where the case lets somebody release what they asked for themselves, the design does not: that is tried and must be refused, and somebody else with the same right does it. */
const glassStep: Step = async (seen, given) => {
  const ref = String(given['ref'])
  const exchange = exchangeOf(seen.sender, ref) ?? pending(`nothing is called ${ref}`)
  const hold = holdOf(seen, ref)
  const by = String(given['by'])
  const reason = String(given['reason'] ?? '')
  const own = exchange.sent.as === by
  if (own) {
    const refused = await breakGlass(seen.world, by, hold, reason)
    if (statusText(refused) !== '403') fail(`somebody released their own action: ${statusText(refused)}`)
  }
  const reply = await breakGlass(seen.world, own ? 'root-b' : by, hold, reason)
  seen.named.set('break_glass', reply)
  if (statusText(reply) === '200' && (exchange.reply === undefined || exchange.reply === 'silent') && !exchange.wire.closed()) exchange.reply = await exchange.wire.reply(exchange.index, 700, exchange.sent.method)
  return reply
}

const executeStep: Step = async (seen, given) => {
  const ref = String(given['ref'])
  const item = itemsOf(seen).get(ref) ?? pending(`nothing is called ${ref}`)
  const hold = holdOf(seen, ref)
  const as = given['as']
  const inner = isTree(item['http']) ? { ...item, http: { ...item['http'], ...(as === undefined ? {} : { as }), headers: [...list(item['http']['headers']), ['Countersign-Hold', hold]] } } : pending('only HTTP requests are executed again')
  const message = messageOf(inner, seen.sender)
  const exchange = send(seen.sender, message, { ref: `${ref}:execute`, ...(given['via'] === undefined ? {} : { replica: String(given['via']) }) })
  // Where the upstream never answers there is nothing to wait for, once it has the request.
  const mute = isTree(seen.run.given['upstream']) && Object.values(seen.run.given['upstream']).includes('accepts the request and does not answer')
  const reply = await finalReply(exchange, mute ? 1_500 : inTheEnd)
  seen.named.set('execute', reply)
  return reply
}

const fetchStep: Step = async (seen, given) => {
  const ref = String(given['ref'])
  return await requesterApi(seen.world, String(given['as']), 'GET', `/.countersign/holds/${holdOf(seen, ref)}/result`)
}

const disconnectStep: Step = async (seen, given) => {
  seen.sender.sockets.get(String(given['socket']))?.wire.destroy()
  await pause(30)
  return undefined
}

const clockStep = async ({ world, run }: Observation, given: unknown): Promise<void> => {
  const { sync_hold_max: wait } = (run.given['settings'] ?? {}) as Tree
  if (wait !== undefined) await pause(1_200)
  const opened = world.events().findLast((event) => event.type === 'held')
  const { escalate_after: after } = (run.given['settings'] ?? {}) as Tree
  if (after !== undefined && !isTree(given) && shiftOf(given) > shiftOf(`+${String(after)}`)) {
    // On the way there it escalates.
    const first = shiftOf(`+${String(after)}`) + 1_000
    world.clock.allMs += first
    await until('it to escalate', () => world.events().some(({ type }) => type === 'hold-escalated'))
    await until('those to be told', () => world.slack?.next === undefined || world.slack.next.taken.length > 0)
    world.clock.allMs -= first
  }
  // An edge of a millisecond: the clocks stand still there, counted from the moment the hold was opened.
  if (!isTree(given) && String(given).includes('.') && opened?.type === 'held') world.clock.frozenAt = opened.deadline - opened.terms.withinMs + shiftOf(given)
  else if (!isTree(given)) world.clock.allMs += shiftOf(given)
  else if (given['on'] === 'store') world.clock.storeMs += shiftOf(given['shift'])
  else world.clock.replicaMs.set(String(given['on']), (world.clock.replicaMs.get(String(given['on'])) ?? 0) + shiftOf(given['shift']))
}

const faultStep = async (seen: Observation, given: Tree): Promise<void> => {
  const { world, sender } = seen
  const { target, kind } = given
  if (target === 'slack' && world.slack !== undefined) {
    const answer = kind === '503 for 10 minutes' ? { status: 503 } : kind === '429 with Retry-After 30' ? { status: 429, headers: { 'retry-after': '30' } } : pending(`no way yet to make Slack do this: ${String(kind)}`)
    for (const method of ['chat.postMessage', 'chat.update', 'chat.postEphemeral']) world.slack.fake.answers.set(method, Array.from({ length: 1_000 }, () => answer))
    return
  }
  if (target === 'store') {
    if (kind === 'down' || kind === 'up') return void (world.store.kind = kind)
    const policy = /^maxmemory-policy (\S+)$/.exec(String(kind))?.[1]
    if (policy !== undefined) {
      await using redis = await startRedis(['--maxmemory-policy', policy])
      const opened = await openRedisStore({ kind: 'redis', connect: { mode: 'single', url: new Secret(redis.url) }, prefix: 'cases', acknowledgingReplicas: 0 }).then(async (store) => void (await store[Symbol.asyncDispose]()), (error: unknown) => error)
      seen.load = { ok: opened === undefined, problems: opened === undefined ? [] : [String(opened)] }
      return
    }
    if (kind === 'delay 30 s') return void (world.store.kind = 'slow')
  }
  if (world.sentinel !== undefined && target === 'redis-replica' && kind === 'stop replication') return await world.sentinel.replica.kill('SIGSTOP')
  if (world.sentinel !== undefined && target === 'redis-primary' && kind === 'kill-9') return await world.sentinel.primary.kill('SIGKILL')
  if (world.processes !== undefined && kind === 'kill-9') return void (await world.processes.end(String(target), 'SIGKILL'))
  if (world.processes !== undefined && kind === 'SIGTERM') {
    world.processes.signal(String(target), 'SIGTERM')
    return await pause(300) // its drain has begun
  }
  if (target === 'app' && kind === 'connection error whose message holds the URL with S3CRET-8') return await tellingError(seen)
  if (target === 'secret') return await loseSecret(seen, String(kind))
  const issuer = /^(\S+) jwks$/.exec(String(target))?.[1]
  if (issuer !== undefined) {
    // Before the first request the keys are not known yet: those of the start are forgotten.
    const fresh = sender.exchanges.length === 0
    const made = jwksFault(world, issuer, String(kind))
    if (made && fresh) await world.reload((profile) => put(profile.config, ['issuers', issuer, 'jwks', 'error-backoff'], '6s'))
    if (made) return
  }
  pending(`no way yet to make this fault: ${String(target)}, ${String(kind)}`)
}

/** Whatever a resolver or a driver says when it fails. */
const tellingError = async ({ world }: Observation): Promise<void> => {
  failName('telling-up.test', 'connect failed: http://svc:S3CRET-8@telling-up.test/x?token=S3CRET-8 (Authorization: Basic S3CRET-8S3CRET-8)')
  await world.reload((profile) => put(profile.config, ['services', 'app', 'upstream'], 'http://telling-up.test:8080'))
  const reply = await ask(world, 'http', `GET /public/x HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${bearerOf('req-a', world.directory, world.now())}\r\nConnection: close\r\n\r\n`)
  if (typeof reply !== 'object' || reply.status < 500 || reply.body.includes('S3CRET')) fail(`it was answered ${statusText(reply)}`)
  await until('the failure to be on record', () => world.events().some((event) => 'code' in event && event.type === 'refused' && /connect failed/.test(event.cause ?? '')) || world.events().some((event) => event.type === 'finished' && /connect failed/.test(event.outcome.cause ?? '')))
}

const jwksFault = ({ issuers }: World, issuer: string, kind: string): boolean => {
  const redirect = /^302 to (\S+)$/.exec(kind)?.[1]
  if (redirect !== undefined) issuers.faults.set(issuer, { redirect })
  else if (kind === 'down') issuers.faults.set(issuer, 'down')
  else if (kind === 'answers 10 MB of keys') issuers.faults.set(issuer, 'large')
  else return false
  return true
}

const reloadStep = async (seen: Observation, given: Tree): Promise<void> => {
  const { world } = seen
  const policyFile = (folder: string): string => join(folder, 'policies', 'app.yaml')
  let files: ((folder: string) => void) | undefined
  const { add_rule: rule, text, file_removed: removed, file_half_written: half, ...rest } = given
  if (Object.keys(rest).length > 0) pending(`no way yet to reload with ${Object.keys(rest).join()}`)
  if (typeof text === 'string') files = (folder) => writeFileSync(policyFile(folder), text.replace('rules:', text === '' ? '' : 'policy: app\nservices: [app]\nrules:').replace('effect:', 'then:').replace('method: GET', 'methods: [GET]'))
  if (removed === true) files = (folder) => rmSync(join(folder, 'policies'), { recursive: true })
  if (half === true) files = (folder) => writeFileSync(policyFile(folder), 'policy: app\nservices: [app]\nrules:\n  - name: public-read\n    then: all')
  const results = await world.reload((profile) => void (rule !== undefined && applyRules(profile, [rule])), files)
  seen.load = { ok: results.every(({ applied }) => applied), problems: results.flatMap(({ problems }) => problems) }
}

const idpStep = async (seen: Observation, given: Tree): Promise<void> => {
  const { world } = seen
  const { issuer, publish_key: publish, remove_key: remove, user, remove_group: group, group: whole, members, revoke_session: session, ...rest } = given
  if (rest['disable'] === true && Object.keys(rest).length === 1) return await switchOff(seen, String(user))
  if (isTree(rest['metadata']) && world.browsers !== undefined) {
    // Asked when somebody logs in: then it is not good enough, and nobody does.
    Object.assign(world.browsers.metadata, rest['metadata'])
    const reply = await world.browsers.visit(world, 'b1', '/oauth2/start')
    seen.load = { ok: reply.status !== 503, problems: [reply.body.toString()] }
    return
  }
  if (session !== undefined) world.issuers.introspection = '{"active":false}'
  if (Object.keys(rest).length > 0) pending(`no way yet to change at the identity provider: ${Object.keys(rest).join()}`)
  const keys = world.issuers.keys
  if (publish !== undefined) keys.set(String(issuer), [...(keys.get(String(issuer)) ?? []), String(publish)])
  if (remove !== undefined) keys.set(String(issuer), (keys.get(String(issuer)) ?? []).filter((kid) => kid !== remove))
  if (user !== undefined && world.directory.opaque === true) world.directory.set(String(user), (world.directory.get(String(user)) ?? []).filter((name) => name !== group))
  else if (user !== undefined) {
    world.directory.set(String(user), (world.directory.get(String(user)) ?? []).filter((name) => name !== group))
    await tellMembers(world, String(group), membersOf(world, String(group)))
  }
  if (whole !== undefined) await tellMembers(world, String(whole), list(members).map(String))
}

const membersOf = ({ directory }: World, group: string): readonly string[] => [...directory].flatMap(([name, groups]) => (groups.includes(group) && people[name]?.act === undefined ? [name] : []))

/** Groups come with tokens; what is known of them beside that is told by the configuration, taken over at a reload. */
const tellMembers = async (world: World, group: string, names: readonly string[]): Promise<void> => {
  const results = await world.reload(({ config }) => put(config, ['members', group], names.map((name) => ({ issuer: 'idp-a', subject: userOf(name) }))))
  for (const { applied, problems } of results) if (!applied) fail(`who is in ${group} was not taken over: ${problems.join('; ')}`)
}

/** So many requests over a few connections that stay: it is requests that the case asks for. Each has its number in its target, and all of them one token. */
const floodWith = async (seen: Observation, given: Tree, count: number): Promise<void> => {
  const http = isTree(given['http']) ? given['http'] : pending('a flood of something else than requests')
  const mark = 'number-of-the-request'
  const { bytes, method } = messageOf({ ...given, http: { ...http, target: String(http['target']).replace('{{i}}', mark) } }, seen.sender)
  const text = bytes.toString('latin1')
  let next = 0
  const connection = async (): Promise<void> => {
    const wire = connectWire(seen.world.first().ports.http)
    for (let sent = 0; next < count; sent++) {
      wire.write(text.replace(mark, String(next++)))
      seen.crowd.push(await wire.reply(sent, 30_000, method))
    }
    wire.destroy()
  }
  await Promise.all(Array.from({ length: 20 }, connection))
}

/** Enough of them to open a hundred holds, twenty each. */
const requesters = ['req-a', 'req-b', 'svc-a', 'agent-a', 'appr-other']

const parallelStep = async (seen: Observation, given: Tree): Promise<void> => {
  const { times, step, over, over_principals: principals, steps } = given
  if (Array.isArray(steps)) return void (await Promise.all(steps.map((one) => runStep(seen, one as Tree))))
  const count = Number(times)
  const one = step as Tree
  const send = isTree(one['send']) ? one['send'] : undefined
  if (count > 1_000) return await floodWith(seen, send ?? pending('a flood of that'), count)
  const replies = await Promise.all(Array.from({ length: count }, async (_, index) => {
    const place: Tree = Array.isArray(over) ? { via: over[index % over.length] } : {}
    const who: Tree = Array.isArray(principals) ? { as: principals[index % principals.length] } : {}
    const any = JSON.stringify(one).includes('{{any-requester}}') ? (JSON.parse(JSON.stringify(one).replaceAll('{{any-requester}}', requesters[index % requesters.length] ?? '')) as Tree) : one
    const [[name, inner] = ['', {}]] = Object.entries(any)
    return await runStep(seen, { [name]: { ...(inner as Tree), ...place, ...who, ...(send && send['ref'] === undefined ? { ref: `parallel-${index}` } : {}) } }, index)
  }))
  seen.crowd.push(...replies.filter((reply) => reply !== undefined))
}

const steps: Readonly<Record<string, Step>> = {
  send: sendStep,
  approve: voteStep('approve', 'approve'),
  reject: voteStep('deny', 'reject'),
  break_glass: glassStep,
  execute: executeStep,
  fetch_result: fetchStep,
  disconnect: disconnectStep,
}

export const runStep = async (seen: Observation, step: Tree, number = 0): Promise<Reply | 'closed' | 'silent' | undefined> => {
  const [name = ''] = Object.keys(step).filter((key) => !['expect', 'note'].includes(key))
  const given = step[name]
  if (Object.hasOwn(neverItem, name)) inapplicable(neverItem[name] ?? name)
  if (Object.hasOwn(notYetItem, name)) pending(notYetItem[name] ?? name)
  if (name === 'clock') return void (await clockStep(seen, given))
  if (name === 'do') return void (await doDeed(seen, String(given)))
  if (!isTree(given)) return pending(`no step ${name}`)
  if (name === 'fault') return void (await faultStep(seen, given))
  if (name === 'reload') return void (await reloadStep(seen, given))
  if (name === 'idp') return void (await idpStep(seen, given))
  if (name === 'parallel') return void (await parallelStep(seen, given))
  if (name === 'dns') return void Object.entries(given).forEach(([host, address]) => setName(host, String(address)))
  const run = Object.hasOwn(steps, name) ? steps[name] : undefined
  if (run === undefined) return pending(`no step ${name}`)
  const reply = await run(seen, given, number)
  const expected = isTree(given['expect']) ? given['expect'] : isTree(step['expect']) ? step['expect'] : undefined
  if (expected !== undefined) {
    const { http, ...rest } = expected
    if (Object.keys(rest).length > 0) pending(`no check yet for a step's ${Object.keys(rest).join()}`)
    const got = typeof reply === 'object' ? reply.status : reply
    if (!list(http).includes(got)) fail(`${name} was answered ${statusText(reply)}, not ${list(http).join(' or ')}${typeof reply === 'object' ? ` (${reply.body.toString().slice(0, 160)})` : ''}`)
  }
  return reply
}
