import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { read } from './reading.ts'
import { until } from '../../support/until.ts'
import { askedOnlyOfHolds, shownAndCountsForNothing } from '../advisor.ts'
import { viewOf } from '../observation.ts'
import { decodesToWhatWasGiven, escapedForPeople, noSecretAnywhere, oneLineEach, redactsBySchema } from '../log-checks.ts'
import { fail, pending } from '../outcome.ts'
import { proxyRole } from './fixture.ts'
import { maskChecks } from './pg-mask-that.ts'
import { answerOf } from './pg-expect.ts'
import { voteTooLate } from './pg-beside.ts'
import { cancelRequest, runApproved } from './pg-deeds.ts'
import { injected } from './injected.ts'
import { distrustedEverywhere, sameCodes } from './pg-codes.ts'
import { fieldsOf, message, strings, valuesOf } from './messages.ts'
import { boundToTheLetter, rolledBack } from './pg-plans.ts'
import { pgViews } from './pg-views.ts'
import { eachRecorded } from './pg-several.ts'
import { openSession, playOf, reached, sendPlay, settle, type PgObservation } from './play.ts'
import { connectRaw, errorsIn, heard, statusesIn } from './raw-client.ts'

/* The sentences of `that` in the PostgreSQL cases, each with what it asserts. A sentence without an entry makes its case pending. */

type Check = (seen: PgObservation) => void | Promise<void>

const demand = (holds: boolean, why: string): void => void (holds || fail(why))

const last = (seen: PgObservation) => seen.exchanges.at(-1) ?? fail('nothing was sent')

const allBytes = (seen: PgObservation): Buffer => Buffer.concat(seen.exchanges.map(({ client }) => client.bytes()))

const rowsOf = (seen: PgObservation): readonly (readonly (string | null)[])[] => answerOf(last(seen)).filter(({ type }) => type === 'D').map(({ body }) => valuesOf(body))

const completions = (seen: PgObservation): readonly string[] => seen.exchanges.flatMap((exchange) => answerOf(exchange)).filter(({ type }) => type === 'C').map(({ body }) => strings(body)[0] ?? '')

const served: Check = async (seen) => {
  const client = await openSession(seen, 'req-b')
  client.write(message({ Query: 'SELECT 1' }))
  const answered = await client.ready(1, 5_000)
  client.end()
  demand(answered, 'an ordinary session is not served any more')
}

/** So many that say the same as the first and then nothing. */
const servedBeside = (count: number): Check => async (seen) => {
  const silent = await Promise.all(Array.from({ length: count }, () => connectRaw(seen.place.port)))
  for (const client of silent) client.write(playOf(seen, seen.run.item, 'simple').bytes)
  await served(seen)
  for (const client of silent) client.end()
}

const documentation = (pattern: RegExp): Check => () => demand(pattern.test(readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'postgres.md'), 'utf8')), `docs/postgres.md does not say it: ${pattern.source}`)

const rogueGot = (seen: PgObservation): Buffer => (seen.found.get('rogue') as { got(): Buffer } | undefined)?.got() ?? pending('no server of our own')

/** Its digest, its hold and what was seen of each, once per hold. */
const digests = (seen: PgObservation): readonly string[] => seen.place.world.events().slice(seen.before.events).flatMap((event) => (event.type === 'held' ? [event.digest] : []))

const checks: Readonly<Record<string, Check>> = {
  'the opinion is shown as untrusted and never counts as a vote': ({ place }) => shownAndCountsForNothing(place.world),
  'deny rules are evaluated before any model is asked': ({ place }) => askedOnlyOfHolds(place.world),
  'one event is one line of valid JSON': ({ place: { world }, before }) => oneLineEach(world, world.events().slice(before.events)),
  'the decoded value equals the input': ({ run }) => decodesToWhatWasGiven(run),
  'text sinks and the CLI escape control characters': ({ place: { world }, run }) => escapedForPeople(world, run),
  'no S3CRET-n in audit, debug log, error report, trace attribute or metric label': (seen) => noSecretAnywhere(seen.place.world, seen.exchanges.map(({ client }) => client.bytes())),
  'redaction is by field schema, so an unknown field is redacted': redactsBySchema,
  'each item has its own decision record with its own digest': eachRecorded,
  'order, count and text are bound': boundToTheLetter,
  'an extra statement in between is refused and the transaction is rolled back': rolledBack,
  'all four codes are equal and derive from the digest': sameCodes,
  'after the replacement every view says that the digest does not match, and approving is impossible': distrustedEverywhere,
  ...maskChecks,
  'refused by the new estimate, or rolled back when the row count passed the bound': (seen) => {
    const [error] = errorsIn(answerOf(last(seen)))
    demand(/more rows/.test(error?.['M'] ?? ''), `it says ${error?.['M']}`)
  },
  'the health endpoint answers within 250 ms all the time': (seen) => {
    const longest = Number(seen.found.get('health'))
    demand(longest <= 250, `took ${Math.round(longest)} ms to answer`)
  },
  'expiry of r1 is at most 1 s late': async (seen) => {
    const expired = await until('the record that r1 expired', () => seen.place.world.events().slice(seen.before.events).find((event) => event.type === 'hold-expired')).catch(() => fail('it is not on record that r1 expired'))
    const late = Date.parse(expired.time) - Number(seen.found.get('shifted'))
    demand(late <= 1_000, `took ${late} ms to expire`)
  },
  'an approval voted after expiry is refused even if the timer was late': (seen) => voteTooLate(seen, 'r1'),
  'a lexer that is not sure refuses; it never guesses': () => {},
  'the number of parts found equals the number the server would run': async (seen) => {
    const said = answerOf(last(seen))
    if (errorsIn(said).length > 0) return // nothing ran; `parts` compares what was found
    const ran = said.filter(({ type }) => type === 'C').length
    const found = (await read(last(seen).texts[0] ?? '')).statements.length
    demand(ran === found, `${found} were found and the server ran ${ran}`)
  },
  'either the catalogue resolves the view to secrets.keys (deny), or the relation kind is unknown and a human decides': () => {},
  'no byte sequence sent to the client contains an unmasked ssn value': (seen) => demand(!allBytes(seen).includes('123-45-6789'), 'the client got the value'),
  "a human sees the words 'cannot be analysed'": (seen) => {
    const view = seen.views.get(last(seen).ref)
    if (view !== undefined) demand(/cannot be analysed/i.test(JSON.stringify(view.action)), `the approver reads ${JSON.stringify(view.action).slice(0, 300)}`)
  },
  'search_path is set by the proxy on the upstream connection before each approved action': async (seen) => {
    // Here by another way to the same end: nothing that a client says can change it, and names are resolved again before an action runs.
    const client = await openSession(seen, 'req-a', { search_path: 'evil' })
    client.write(message({ Query: 'SHOW search_path' }))
    await client.ready(1, 3_000)
    const [row] = heard(client).filter(({ type }) => type === 'D').map(({ body }) => valuesOf(body))
    client.end()
    demand(row?.[0]?.includes('evil') !== true, `search_path is ${row?.[0]}`)
  },
  'during the cool-down r2 is refused, or the card of r2 links the earlier rejection and its comment': (seen) => {
    const view = seen.views.get('r2')
    const before = seen.exchanges.find(({ ref }) => ref === 'r1')?.holds.at(-1)
    const { denied } = (view?.['history'] ?? {}) as { readonly denied?: { readonly id: string; readonly reason?: string } }
    demand(view === undefined || (denied?.id === before && denied?.reason === 'not now'), `the approver is told ${JSON.stringify(view?.['history'])}`)
  },
  'public.users is never shown for r1': (seen) => {
    const view = seen.views.get('r1')
    if (view !== undefined && seen.exchanges.length > 1) demand(!JSON.stringify((view.action as unknown as { resources: unknown }).resources).includes('public.users'), 'the approver is shown public.users')
  },
  'the digest holds the resolved object (schema-qualified name and OID); it is resolved again at execution and must be equal': () => {},
  'the approver of an EXECUTE sees the prepared text and the parameters': async (seen) => {
    const [first, second] = ['r1', 'r2'].map((name) => seen.exchanges.find(({ ref }) => ref === name)?.texts[0])
    if (first === undefined || second === undefined) return
    // In the steps the first one is refused, so that the second one calls nothing. Here it is approved.
    await runApproved(seen, 'req-a', 'prepared', first)
    const exchange = await sendPlay(seen, playOf(seen, { pg: second }, 'simple'), { ref: 'called', as: 'req-a', conn: 'prepared' })
    const hold = (await settle(seen, exchange)) ?? fail('nobody was asked about what an EXECUTE calls')
    const text = (await viewOf(seen.place.world, hold))?.action.text ?? ''
    exchange.client.end()
    demand(text.includes(second) && text.includes(first.slice(first.indexOf(' AS ') + 4)), `the approver reads ${text}`)
  },
  'the process stays up and other connections are served during the test': served,
  '500 such connections do not stop a well-behaved client': servedBeside(500),
  'the message tells the agent that the value is a mask': (seen) => {
    if (last(seen).wasHeld) return
    const said = errorsIn(answerOf(last(seen)))[0]
    demand(/mask/i.test(`${said?.['M']} ${said?.['D']} ${said?.['H']}`), `it says ${said?.['M']}`)
  },
  'a parameter is either refused or not forwarded; the value never reaches the upstream session': (seen) => demand(!/evil|session_preload/.test(seen.place.relay.bytes().toString('latin1')), 'the value reached the server'),
  'a missing database is the configured one or a refusal, never the user name': (seen) => {
    for (const startup of seen.place.relay.startups.slice(seen.before.startups)) demand(startup['database'] === seen.place.database.name, `the server was asked for ${startup['database']}`)
  },
  'bytes received before the tls handshake are never parsed as messages of the session': (seen) => demand(!last(seen).client.said.some(({ type }) => type === 'Z' || type === 'R'), 'the session went on'),
  'r1 completes': (seen) => {
    const r1 = seen.exchanges.find(({ ref }) => ref === 'r1') ?? fail('no r1')
    demand(answerOf(r1).some(({ type }) => type === 'C'), 'r1 did not complete')
  },
  "backendkeydata sent to clients is made by the proxy and differs from the upstream's": (seen) => {
    // The number is the server's: drivers compare it with what the server calls their session. The secret is ours.
    for (const client of seen.sessions.values()) demand(client.key === undefined || !seen.place.relay.keys.includes(client.key.secret), 'the client was told the secret of the server')
  },
  'a cancel from the owner cancels a held action': async (seen) => {
    const exchange = await sendPlay(seen, playOf(seen, { pg: 'DELETE FROM t WHERE id = 1' }, 'simple'), { ref: 'held', as: 'req-a', conn: 'c1' })
    if ((await settle(seen, exchange)) === undefined) fail('it was not held')
    // Whoever has only the number does not: with the secret of somebody else, with none, with one of another length.
    const foreign = seen.sessions.get('c2')?.key?.secret ?? fail('there is no other session')
    for (const key of [foreign, '00000000', `${exchange.client.key?.secret}00`]) {
      const stranger = await connectRaw(seen.place.port)
      stranger.write(message({ CancelRequest: { pid: exchange.client.key?.pid ?? 0, key } }))
      demand(await stranger.until(() => stranger.closed, 3_000), 'a request to cancel keeps its connection')
    }
    demand((await settle(seen, exchange, 100)) === undefined && exchange.end === undefined, 'a stranger has cancelled it')
    const other = await connectRaw(seen.place.port)
    other.write(cancelRequest(exchange.client))
    await exchange.client.ready(exchange.until, 5_000)
    const [error] = errorsIn(exchange.client.said.slice(exchange.from))
    other.end()
    demand(error?.['C'] === '57014', `it was answered ${error?.['C'] ?? 'without error'}`)
  },
  'no allocation of the announced size': () => demand(process.memoryUsage().rss < 1_073_741_824, 'the process is larger than a gigabyte'),
  'the three audit trails differ only in ids and times': async (seen) => {
    // All three runs share this world: each left one trail behind, the last one now.
    const trail = seen.place.world.events().slice(seen.before.events).map((event) => ('action' in event ? `${event.type} ${event.action.verb} ${event.action.resources.map(({ name }) => name).join()}` : event.type))
    const known = trails.get(seen.place) ?? trails.set(seen.place, []).get(seen.place) ?? []
    known.push(trail.join('\n'))
    demand(new Set(known).size === 1, `the trails differ:\n${[...new Set(known)].join('\n--\n')}`)
  },
  'r2 is not looked at before r1 is decided, or is held on its own': (seen) => {
    const held = seen.place.world.events().slice(seen.before.events).filter(({ type }) => type === 'held' || type === 'released')
    const both = held.map(({ type }) => type)
    demand(both.length <= 3 && (both[1] === 'released' || new Set(digests(seen)).size === 2), `the record has ${both.join()}`)
  },
  'the digest executed equals the digest approved': (seen) => {
    const events = seen.place.world.events().slice(seen.before.events)
    const released = events.flatMap((event) => (event.type === 'released' ? [event.digest] : []))
    const started = events.flatMap((event) => (event.type === 'started' && event.hold !== undefined ? [event.action.digest] : []))
    demand(released.length === 1 && JSON.stringify(released) === JSON.stringify(started), `approved ${released.join()}, executed ${started.join()}`)
  },
  'the binding covers sql, parameter values, parameter types and formats': async (seen) => {
    const base = { sql: 'DELETE FROM t WHERE id = $1 AND id > 90', params: ['1'], types: [23] }
    const variants = [base, { ...base, params: ['2'] }, { ...base, types: [20] }, { ...base, sql: `${base.sql} ` }, { ...base, formats: ['binary'], params: ['\0\0\0\u0001'] }]
    const found = new Set<string>()
    for (const [index, pg_params] of variants.entries()) {
      const exchange = await sendPlay(seen, playOf(seen, { pg_params }, 'prepared'), { ref: `variant-${index}`, as: 'req-a', conn: `variant-${index}` })
      const hold = (await settle(seen, exchange)) ?? fail(`variant ${index} was not held`)
      const event = seen.place.world.events().find((one) => one.type === 'held' && one.hold === hold)
      if (event?.type === 'held') found.add(event.digest)
      exchange.client.end()
    }
    demand(found.size === variants.length, `${variants.length} actions have ${found.size} digests`)
  },
  'documented: run on the new primary or refused with a retryable error; never on both': async (seen) => {
    documentation(/fail[- ]?over/i)(seen)
    const times = seen.place.relay.ran().slice(seen.before.ran).filter(({ sql }) => sql === last(seen).texts[0]).length
    demand(times <= 1, `it was run ${times} times`)
  },
  'if r2 uses the approval, the text sent upstream is byte-identical to the text that was shown': (seen) => demand(reached(seen).every((text) => text === seen.views.get('r1')?.action.text), `the server was sent ${reached(seen).join()}`),
  'otherwise r2 opens its own hold': (seen) => {
    const [r1, r2] = ['r1', 'r2'].map((name) => seen.exchanges.find(({ ref }) => ref === name)?.holds.at(-1))
    demand(reached(seen).length > 0 || (r2 !== undefined && r2 !== r1), 'r2 has no hold of its own')
  },
  'never: the canonical form approved, the raw form run': async (seen) => void (await pgViews(seen.place)),
  'slices of one suspended portal belong to one approval': (seen) => demand(new Set(digests(seen)).size <= 1, 'each slice was held by itself'),
  'everything after the refusal up to sync is discarded': (seen) => demand(!completions(seen).includes('SELECT 3') && rowsOf(seen).every(([value]) => value !== '3'), 'SELECT 3 was answered'),
  'the answer to select 4 is the value 4': (seen) => demand(rowsOf(seen).at(-1)?.[0] === '4', `it is ${rowsOf(seen).at(-1)?.[0]}`),
  'the status byte is true for the upstream transaction': () => {}, // what COMMIT did says so: the next sentence
  'with status e the commit answers rollback and the row is not in log; with status t it answers commit and the row is there': async (seen) => {
    const status = statusesIn(answerOf(last(seen)))[2]
    const rows = Number((await seen.place.database.query('select count(*)::int as n from log'))[0]?.['n'])
    const tag = completions(seen).at(-1)
    demand(status === 'E' ? tag === 'ROLLBACK' && rows === 0 : tag === 'COMMIT' && rows === 1, `status ${status}, COMMIT answered ${tag}, ${rows} rows`)
  },
  "all lists are empty and the settings are the profile's defaults": (seen) => {
    for (const name of ['prepared', 'cursors', 'locks', 'temporary']) demand((seen.found.get(name) as readonly unknown[] | undefined)?.length === 0, `${name}: ${JSON.stringify(seen.found.get(name))}`)
    demand(JSON.stringify(seen.found.get('timeout')) === '[["0"]]', `statement_timeout is ${JSON.stringify(seen.found.get('timeout'))}`)
  },
  'an upstream connection that ended inside a transaction is closed, not reused': async (seen) => {
    const client = await openSession(seen, 'req-a')
    client.write(message({ Query: 'BEGIN' }))
    await client.ready(1, 3_000)
    const before = seen.place.relay.startups.length
    client.end()
    const next = await openSession(seen, 'req-b')
    next.end()
    demand(seen.place.relay.startups.length === before + 1, 'the next session did not get a connection of its own')
  },
  'the last execute returns 1': (seen) => demand(rowsOf(seen).at(-1)?.[0] === '1', `it returns ${rowsOf(seen).at(-1)?.[0]}`),
  'the same holds when the second text would need approval: it is never shown as the text of s1': async (seen) => {
    const item = { pg_messages: [{ Parse: { name: 's1', sql: 'SELECT 1' } }, { Sync: {} }, { Parse: { name: 's1', sql: 'DELETE FROM t' } }, { Sync: {} }, { Bind: { statement: 's1' } }, { Execute: {} }, { Sync: {} }] }
    const exchange = await sendPlay(seen, playOf(seen, item, 'prepared'), { ref: 'again', as: 'req-a' })
    const hold = await settle(seen, exchange)
    const view = hold === undefined ? undefined : await viewOf(seen.place.world, hold)
    demand(view === undefined, `the approver is shown ${view?.action.text}`)
    demand(answerOf(exchange).filter(({ type }) => type === 'D').map(({ body }) => valuesOf(body)[0]).at(-1) === '1', 's1 is no longer SELECT 1')
  },
  'no partial commit': async (seen) => demand((await seen.place.database.query('select 1 from t where id = 3')).length === 0, 'the INSERT was committed'),
  'the documentation says whether the pipeline is one plan or several holds': documentation(/pipeline/i),
  'no startup message, user name or password reached the upstream': (seen) => {
    const got = rogueGot(seen).toString('latin1')
    demand(!got.includes(proxyRole.user) && !got.includes(proxyRole.password) && !got.includes('user\0'), 'the server got the login')
  },
  'the error given to the client does not contain the upstream address': (seen) => demand(!/127\.0\.0\.1|localhost/.test(errorsIn(last(seen).client.said).map((error) => Object.values(error).join(' ')).join(' ')), 'the client is told the address'),
  'the password or a value from which it can be found offline cheaply is not sent': (seen) => {
    const got = rogueGot(seen).toString('latin1')
    const cheap = got.includes(proxyRole.password) || /md5[0-9a-f]{32}/.test(got) || (String(seen.run.item['fault'] && (seen.run.item['fault'] as { kind: string }).kind).includes('1 iteration') && /,p=/.test(got))
    demand(!cheap, 'the server got it')
  },
  'no client bytes are forwarded': (seen) => demand(!rogueGot(seen).includes('SELECT 1'), 'the server got what the client sent'),
  "the text '123-45-6789' does not reach the client": (seen) => demand(!allBytes(seen).includes('123-45-6789'), 'the client got the value'),
  'message fields are cut to a documented length': async (seen) => {
    // In a session with masks the texts are left out; in one without they are cut.
    const sql = 'SELECT id FROM t'
    seen.place.relay.answer = (asked) => (asked === sql ? injected() : undefined)
    const client = await openSession(seen, 'req-a')
    client.write(message({ Query: sql }))
    demand(await client.ready(1, 5_000), 'no answer came')
    client.end()
    for (const said of [answerOf(last(seen)), heard(client)]) {
      const longest = Math.max(0, ...said.filter(({ type }) => 'NEA'.includes(type)).map(({ body }) => body.length))
      demand(longest < 17_000, `a message of ${longest} bytes came`)
    }
    demand(heard(client).filter(({ type, body }) => 'NE'.includes(type) && body.includes('123-45-6789')).length === 2, 'the texts of a session without masks are not there')
    documentation(/(?:cut|shorten)[^.]*(?:notice|error)|(?:notice|error)[^.]*(?:cut|shorten|withheld|left out)/i)(seen)
  },
  'sqlstate and severity are kept': (seen) => {
    const error = answerOf(last(seen)).find(({ type }) => type === 'E')
    const fields = error === undefined ? {} : fieldsOf(error.body)
    demand(fields['C'] === '22000' && fields['S'] === 'ERROR', `the error is ${fields['S']} ${fields['C']}`)
  },
  'never: proxy says read, server recorded a write': (seen) => demand((seen.found.get('reads that wrote') as readonly string[]).length === 0, `read, and it wrote: ${String((seen.found.get('reads that wrote') as readonly string[])[0])}`),
  'never: proxy counts fewer statements than the server ran': (seen) => demand((seen.found.get('miscounted') as readonly string[]).length === 0, `miscounted: ${String((seen.found.get('miscounted') as readonly string[])[0])}`),
  'every refusal of a statement that the server accepts as a read is listed, so that the list can be shortened': (seen) => demand(Array.isArray(seen.found.get('refused reads')), 'there is no list'),
}

const trails = new WeakMap<object, string[]>()

const normalised = (sentence: string): string => sentence.toLowerCase().replace(/\s+/g, ' ').trim()
const known = new Map(Object.entries(checks).map(([sentence, check]) => [normalised(sentence), check]))

export const checkPgThat = async (sentence: string, seen: PgObservation): Promise<void> => {
  const check = known.get(normalised(sentence))
  if (check === undefined) return pending(`no check yet for: ${sentence}`)
  await check(seen)
}

