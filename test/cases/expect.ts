import { isTree, kindOf, list, type Tree } from './loader.ts'
import { eventTest, isOurs, statesOf, tolerances } from './names.ts'
import { api, eventsOf, exchangeOf, headerOf, holdOf, type Observation, requesterApi, seenOf, statusText, jsonOf, viewOf } from './observation.ts'
import type { Message } from './exchange.ts'
import { fail, Failed, inapplicable, pending } from './outcome.ts'
import { people } from './principals.ts'
import { foldName, type Seen } from './stub.ts'
import { expand } from './text.ts'
import { checkThat } from './that.ts'
import type { Reply } from './wire-client.ts'
import { setTimeout as pause } from 'node:timers/promises'

/* `expect` of the cases, key by key. A key that is not known here makes its case pending. */

const rank: Readonly<Record<string, number>> = { allow: 0, hold: 1, deny: 2, reject: 3 }
const malformed: ReadonlySet<number> = new Set([400, 405, 408, 411, 413, 414, 415, 417, 421, 426, 431, 501, 505])

/** Refusals of what a request is, not of who asks for what. */
const rejections: ReadonlySet<string> = new Set(['malformed', 'too-large', 'unsupported-media', 'misdirected', 'two-identities', 'upgrade-refused'])

type Check = (seen: Observation, wanted: unknown) => void | Promise<void>

const demand = (holds: boolean, why: string): void => void (holds || fail(why))

/** Looks again until it holds or the time is over: records and states follow a reply by a moment. */
const eventually = async (check: () => void | Promise<void>, withinMs = 2_500): Promise<void> => {
  const end = performance.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (!(error instanceof Failed) || performance.now() > end) throw error
      await pause(20)
    }
  }
}

/** What was decided about the one request of a run, from what everybody saw of it. */
export const decisionOf = (seen: Observation, ref?: string): string => {
  const exchange = ref === undefined ? seen.sender.exchanges.at(-1) : exchangeOf(seen.sender, ref)
  if (exchange === undefined) return fail(`nothing was sent as ${ref ?? 'the request'}`)
  if (exchange.wasHeld) return 'hold'
  if (seen.sender.exchanges.length === 1 && seenOf(seen).length > 0) return 'allow'
  const reply = exchange.reply
  if (reply === undefined || reply === 'silent') return fail('no answer came')
  if (reply === 'closed') return 'reject'
  if (reply.status < 400) return 'allow'
  if (exchange.sent.absent && (reply.status === 404 || reply.status === 405)) return 'reject' // there is nothing there to take it
  return malformed.has(reply.status) || rejections.has(String(jsonOf(reply)?.['code'])) ? 'reject' : 'deny'
}

const noSuchInterface = 'the interface that the case names does not exist here, so there is nothing to be let through'

const compareDecision = (seen: Observation, wanted: unknown, ref?: string): void => {
  const got = decisionOf(seen, ref)
  const names = list(wanted).map(String)
  const least = Math.min(...names.map((name) => rank[name] ?? pending(`no decision ${name}`)))
  // Of two ways to refuse the stricter one will do; a control must be allowed, and a hold be a hold.
  if (names.includes(got) || (least >= 2 && (rank[got] ?? 0) > least)) return
  const exchange = ref === undefined ? seen.sender.exchanges.at(-1) : exchangeOf(seen.sender, ref)
  if (names.includes('allow') && exchange?.sent.absent === true) inapplicable(noSuchInterface)
  const reply = exchange?.reply
  fail(`decision ${got}, not ${names.join(' or ')}: ${statusText(reply)} ${String(jsonOf(reply)?.['code'] ?? '')}`)
}

const decision: Check = (seen, wanted) => {
  if (isTree(wanted)) for (const [ref, one] of Object.entries(wanted)) compareDecision(seen, one, ref)
  else compareDecision(seen, wanted)
}

const atLeast: Check = (seen, wanted) => {
  const got = decisionOf(seen)
  if ((rank[got] ?? 0) < (rank[String(wanted)] ?? 0)) fail(`decision ${got}, weaker than ${String(wanted)}`)
}

const compareStatus = (seen: Observation, label: string, reply: Reply | 'closed' | 'silent' | undefined, wanted: unknown, sent: Message | undefined): void => {
  const listed = list(wanted)
  const got = typeof reply === 'object' ? reply.status : reply
  if (listed.includes(got) || (got === 303 && listed.includes(302))) return
  if (typeof got === 'number' && got >= 400 && tolerances(listed, { glass: sent?.bytes.includes('/break-glass HTTP/1.1') === true, absent: sent?.absent === true, listener: sent?.listener ?? 'http', mcp: sent?.bytes.includes('Host: mcp.test') === true, denial: list(seen.run.expect['decision']).includes('deny'), vote: sent === undefined && (label === 'approve' || label === 'reject') }).some(({ statuses }) => statuses.includes(got))) return
  if (sent?.absent === true && listed.every((status) => Number(status) < 400)) inapplicable(noSuchInterface)
  const said = jsonOf(reply)?.['detail']
  fail(`${label} answered ${statusText(reply)}, not ${listed.join(' or ')}${typeof said === 'string' ? ` (${said.slice(0, 100)})` : ''}`)
}

const http: Check = async (seen, wanted) => {
  if (!isTree(wanted)) {
    const exchange = seen.sender.exchanges.at(-1)
    return compareStatus(seen, 'it', exchange?.reply, wanted, exchange?.sent)
  }
  for (const [name, one] of Object.entries(wanted)) {
    const counted = /_(\d{3})$/.exec(name)?.[1]
    if (counted !== undefined) {
      const count = seen.crowd.filter((reply) => typeof reply === 'object' && reply.status === Number(counted)).length
      if (!list(one).includes(count)) fail(`${count} answers ${counted}, not ${String(one)} (${[...Map.groupBy(seen.crowd, statusText)].map(([status, all]) => `${all.length} x ${status}`).join(', ')})`)
      continue
    }
    const exchange = exchangeOf(seen.sender, name)
    const reply = exchange?.reply ?? seen.named.get(name)
    if (exchange === undefined && reply === undefined) pending(`nothing here is called ${name}`)
    compareStatus(seen, name, reply, one, exchange?.sent)
  }
}

const closed: Check = async (seen, wanted) => {
  const wires = isTree(wanted) ? Object.entries(wanted).map(([socket, one]) => [seen.sender.sockets.get(socket)?.wire, one, socket] as const) : [[seen.sender.exchanges.at(-1)?.wire, wanted, 'the connection'] as const]
  for (const [wire, one, name] of wires) {
    if (wire === undefined) return pending(`no connection ${name}`)
    const gone = await wire.untilClosed(3_000)
    if (gone !== (one === true)) fail(`${name} was ${gone ? '' : 'not '}closed`)
  }
}

const describeSeen = (requests: readonly Seen[]): string => requests.slice(0, 3).map(({ stub, method, target }) => `${stub}: ${method} ${target}`).join(', ')

type RequestCheck = (request: Seen, wanted: unknown, seen: Observation) => void

const count = (request: Seen, name: string): number => request.headers.filter(([key]) => foldName(key) === name).length

const sent = (seen: Observation): Buffer => {
  const { bytes } = seen.sender.exchanges.at(-1)?.sent ?? pending('nothing was sent')
  return bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)
}

const requestChecks: Readonly<Record<string, RequestCheck>> = {
  target: (request, wanted) => void (list(wanted).includes(request.target) || fail(`upstream got target ${request.target}`)),
  method: (request, wanted) => void (request.method === wanted || fail(`upstream got method ${request.method}`)),
  body: (request, wanted) => void (request.body.toString('latin1') === wanted || fail(`upstream got body ${request.body.toString('latin1').slice(0, 60)}`)),
  stub: (request, wanted) => void (request.stub === wanted || fail(`${request.stub} got it, not ${String(wanted)}`)),
  trailers: (request, wanted) => void (wanted === 'none' && request.trailers.length > 0 && fail(`upstream got trailers ${request.trailers.join()}`)),
  header_count: (request, wanted) => {
    for (const [name, number] of Object.entries(wanted as Tree)) if (count(request, name) !== number) fail(`upstream got ${count(request, name)} of ${name}, not ${String(number)}`)
  },
  header_value: (request, wanted, { sender }) => {
    for (const [name, value] of Object.entries(wanted as Tree)) {
      const expected = expand(String(value), sender)
      for (const [key, got] of request.headers) if (foldName(key) === name && got !== expected) fail(`upstream got ${name}: ${got}, not ${expected}`)
      if (count(request, name) === 0) fail(`upstream got no ${name}`)
    }
  },
  numbers: (request, wanted, seen) => void (wanted === 'unchanged' && !request.body.equals(sent(seen)) && fail('upstream got other bytes than were sent')),
  body_json: (request, wanted, seen) => void (wanted === 'unchanged' && !request.body.equals(sent(seen)) && fail('upstream got other bytes than were sent')),
}

const upstream: Check = async (seen, wanted) => {
  await pause(15) // what would come wrongly gets a moment to come
  const requests = seenOf(seen)
  if (wanted === 'none') {
    if (requests.length > 0) fail(`upstream saw ${describeSeen(requests)}`)
    const bits = [...seen.world.stubs.values()].flatMap((stub) => stub.unfinished())
    if (bits.length > 0) fail(`upstream saw ${bits.reduce((sum, { length }) => sum + length, 0)} bytes of an unfinished request`)
    return
  }
  if (!isTree(wanted)) return pending('that upstream expectation')
  for (const [key, value] of Object.entries(wanted)) {
    if (key === 'count') await eventually(() => void (list(value).includes(seenOf(seen).length) || fail(`upstream saw ${seenOf(seen).length} requests, not ${String(value)} (${describeSeen(seenOf(seen))})`)), 800)
    else if (key === 'at_most') demand(requests.length <= Number(value), `upstream saw ${requests.length} requests, more than ${String(value)}`)
    else if (key === 'duplicates') demand(new Set(requests.map(({ raw }) => raw.toString('latin1'))).size >= requests.length - Number(value), 'upstream saw the same request twice')
    else if (key === 'calls') demand(list(value).includes(requests.length), `upstream saw ${requests.length} calls`)
    else if (key === 'messages') demand(messagesOf(seen) === value, `upstream got ${messagesOf(seen)} messages, not ${String(value)}`)
    else if (key === 'count_per_request') {
      const per = Map.groupBy(requests, ({ body }) => body.toString('latin1'))
      for (const [body, all] of per) if (all.length !== value) fail(`upstream saw ${all.length} requests with body ${body}`)
    } else if (Object.hasOwn(requestChecks, key)) for (const request of seenOf(seen)) requestChecks[key]?.(request, value, seen)
    else pending(`no check yet for upstream ${key}`)
  }
}

/** Text frames that reached an upstream behind an upgrade. */
const messagesOf = ({ world }: Observation): number => {
  let messages = 0
  for (const bytes of [...world.stubs.values()].flatMap((stub) => stub.unfinished()))
    for (let at = 0; at + 2 <= bytes.length; ) {
      const length = (bytes[at + 1] ?? 0) & 0x7f // shorter than 126 in every case
      if (((bytes[at] ?? 0) & 0x0f) === 1) messages++
      at += 2 + ((bytes[at + 1] ?? 0) & 0x80 ? 4 : 0) + length
    }
  return messages
}

const shown: Check = async (seen, wanted) => {
  if (!isTree(wanted)) return pending('that view')
  const view = [...seen.views.values()].at(-1)
  if (view === undefined) return // it was refused, which is stricter
  for (const [key, value] of Object.entries(wanted)) {
    if (key === 'method') demand(view.action.text.startsWith(`${String(value)} `), `the approver is shown ${view.action.text.split('\n')[0]}`)
    else if (key === 'target') demand(view.action.text.split('\n')[0]?.split(' ').includes(String(value)) === true, `the approver is shown ${view.action.text.split('\n')[0]}`)
    else pending(`no check yet for shown ${key}`)
  }
}

/** A hold's state for whoever may see it. */
const stateOf = async (seen: Observation, ref: string): Promise<string> => {
  const hold = holdOf(seen, ref.replace(/^approval-/, ''))
  const view = await viewOf(seen.world, hold)
  if (view !== undefined) return view.state
  const as = exchangeOf(seen.sender, ref)?.sent.as
  const reply = as === undefined ? undefined : await requesterApi(seen.world, as, 'GET', `/.countersign/holds/${hold}`)
  return String(jsonOf(reply)?.['state'] ?? `not to be seen (${statusText(reply)})`)
}

const state: Check = async (seen, wanted) => {
  for (const [ref, one] of Object.entries(wanted as Tree)) {
    const allowed = list(one).flatMap((name) => statesOf[String(name)] ?? pending(`no state ${String(name)}`))
    await eventually(async () => {
      const got = await stateOf(seen, ref)
      if (!(allowed as readonly string[]).includes(got)) fail(`${ref} is ${got}, not ${list(one).join(' or ')}`)
    })
  }
}

const votes: Check = async (seen, wanted) => {
  for (const [ref, one] of Object.entries(wanted as Tree)) {
    const view = await viewOf(seen.world, holdOf(seen, ref.replace(/^approval-/, '')))
    const given = view?.votes.filter(({ verdict }) => verdict === 'approve').length
    if (!list(one).includes(given)) fail(`${ref} has ${given} votes, not ${String(one)}`)
  }
}

/** No channel belongs to one person: who is told finds it in the inbox, and channels name their group. */
const notified: Check = async (seen, wanted) => {
  const ref = seen.sender.exchanges[0]?.ref ?? ''
  const broke = eventsOf(seen).find((event) => event.type === 'broke-glass')
  for (const name of list(wanted)) {
    const due = jsonOf(await api(seen.world, String(name), 'GET', '/api/holds?review=due'))
    if (!list(due?.['holds']).some((hold) => isTree(hold) && hold['id'] === holdOf(seen, ref))) fail(`${String(name)} does not find it`)
    const groups = people[String(name)]?.groups ?? []
    if (broke?.type !== 'broke-glass' || !broke.skipped.groups.some((group) => groups.includes(group))) fail(`${String(name)} is not among those who were passed over`)
  }
}

const audit: Check = (seen, wanted) =>
  eventually(() => {
    const events = eventsOf(seen)
    let from = 0
    for (const name of list(wanted)) {
      const at = events.findIndex((event, index) => index >= from && eventTest(String(name))(event))
      if (at < 0) return fail(`no record ${String(name)} in its place (there are: ${events.map(({ type }) => type).join(', ').slice(0, 200)})`)
      from = at + 1
    }
  })

const auditCount: Check = async (seen, wanted) => {
  for (const [name, one] of Object.entries(wanted as Tree))
    await eventually(() => {
      const number = eventsOf(seen).filter(eventTest(name)).length
      if (!list(one).includes(number)) fail(`${number} records ${name}, not ${String(one)}`)
    })
}

const auditCountPerRequest: Check = async (seen, wanted) => {
  for (const [name, one] of Object.entries(wanted as Tree))
    await eventually(() => {
      const per = Map.groupBy(eventsOf(seen).filter(eventTest(name)), (event) => ('hold' in event ? event.hold : undefined))
      for (const [hold, all] of per) if (all.length !== one) fail(`${all.length} records ${name} for ${hold}`)
      if (per.size === 0) fail(`no record ${name}`)
    })
}

const checks: Readonly<Record<string, Check>> = {
  decision,
  at_least: atLeast,
  http,
  closed,
  upstream,
  shown,
  state,
  votes,
  notified,
  audit,
  audit_count: auditCount,
  audit_count_per_request: auditCountPerRequest,
  load: (seen, wanted) => {
    if (seen.load === undefined) return
    const got = seen.load.ok ? 'ok' : 'error'
    if (!list(wanted).includes(got)) fail(seen.load.ok ? 'it was loaded' : `it was not loaded: ${seen.load.problems[0]?.slice(0, 200)}`)
  },
  test: (seen, wanted) => {
    const got = seen.test?.passed === true ? 'pass' : 'fail'
    if (got !== wanted) fail(`the policy test gives ${got}: ${seen.test?.report.slice(0, 300)}`)
  },
  within_ms: (seen, wanted) => void (seen.ms > Number(wanted) && fail(`took ${Math.round(seen.ms)} ms, more than ${String(wanted)}`)),
  response_header_count: (seen, wanted) => {
    const reply = seen.sender.exchanges.at(-1)?.reply
    if (typeof reply !== 'object') return fail('no answer')
    for (const [name, number] of Object.entries(wanted as Tree)) {
      const got = reply.headers.filter(([key, value]) => foldName(key) === name && !isOurs(name, value)).length
      if (got !== number) fail(`the answer has ${got} of ${name}`)
    }
  },
  response_headers: (seen, wanted) => {
    const reply = seen.sender.exchanges.at(-1)?.reply
    if (typeof reply !== 'object') return fail('no answer')
    for (const [name, one] of Object.entries(wanted as Tree)) {
      const part = /^contains (.+)$/.exec(String(one))?.[1]
      const got = headerOf(reply, name)
      if (part === undefined ? got !== one : got?.includes(part) !== true) fail(`the answer has ${name}: ${got}`)
    }
  },
  response_body: (seen, wanted) => {
    for (const [ref, text] of Object.entries(wanted as Tree)) {
      const reply = exchangeOf(seen.sender, ref)?.reply
      if (typeof reply !== 'object' || reply.body.toString() !== text) fail(`${ref} was answered with another body`)
    }
  },
  open_requests: (seen, wanted) => void (new Set(eventsOf(seen).flatMap((event) => (event.type === 'held' ? [event.hold] : []))).size !== wanted && fail('another number of holds was opened')),
  that: async (seen, wanted) => {
    for (const sentence of list(wanted)) await checkThat(String(sentence), seen)
  },
}

/** Everything that is expected of a run. Throws `Failed` or `Pending`; a failure is looked for before a gap. */
export const checkAll = async (seen: Observation): Promise<void> => {
  const { run } = seen
  const bare = kindOf(run.item) === 'config' && run.given['probe'] === undefined
  const refused = seen.load?.ok === false
  // A fault or a deed alone sends nothing that could be answered; what it did to the program is what counts.
  const mute = seen.sender.exchanges.length === 0 && ('do' in run.item || 'fault' in run.item || (Array.isArray(run.item['steps']) && run.item['steps'].every((step) => isTree(step) && 'do' in step)))
  let gap: unknown
  // Sentences come last: their checks may send requests of their own.
  const entries = Object.entries(run.expect).toSorted(([a], [b]) => Number(a === 'that') - Number(b === 'that'))
  for (const [key, wanted] of entries) {
    if (key === 'that') seen.settled = seenOf(seen)
    if ((bare || refused) && !['load', 'that', 'audit', 'within_ms'].includes(key)) continue
    if (mute && ['decision', 'at_least', 'http'].includes(key)) continue
    if (key === 'load' && seen.load === undefined && kindOf(run.item) !== 'config' && wanted !== 'ok') continue
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined
    try {
      if (check === undefined) pending(`no check yet for: ${key}`)
      else await check(seen, wanted)
    } catch (error) {
      if (error instanceof Failed) throw error
      gap ??= error
    }
  }
  if (gap !== undefined) throw gap
}
