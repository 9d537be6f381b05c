import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import { Secret } from '../../../src/lib/secret.ts'
import { readFields, readKeyData, readNegotiation } from '../../../src/protocols/postgres/codec/backend.ts'
import type { Frame } from '../../../src/protocols/postgres/codec/frame.ts'
import { frontend } from '../../../src/protocols/postgres/codec/frontend.ts'
import { cancelRequest, startupPacket } from '../../../src/protocols/postgres/codec/greeting.ts'
import { passwordMessage, saslInitialResponse, saslResponse } from '../../../src/protocols/postgres/codec/proof.ts'
import { message } from '../../../src/protocols/postgres/codec/writing.ts'
import { loginRoles, startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { until } from '../../support/until.ts'
import { framesOf, rawClient, serviceFor, startWorld, worldFor, type World } from './world.ts'

let started: Promise<TestPostgres> | undefined
const server = (): Promise<TestPostgres> => (started ??= startPostgres({ auth: 'scram-sha-256', databases: ['second'], init: "create role reporting login password 'r'; create table public.t(a int)" }))
after(async () => (await started)?.[Symbol.asyncDispose]())

const hello = (change: Readonly<Record<string, string>> = {}, minor = 0): Buffer => startupPacket(minor, Object.entries({ user: 'anybody', database: 'crm', ...change }))
const token = (text = 'alice'): Buffer => passwordMessage(text)
const select1 = message(frontend.query, 'select 1\0')

const errorIn = (frames: readonly Frame[]): Record<string, string> => {
  const [found, ...more] = frames.filter(({ type }) => type === 0x45)
  assert.equal(more.length, 0)
  return found === undefined ? {} : Object.fromEntries(readFields(found))
}

const types = (frames: readonly Frame[]): string => frames.map(({ type }) => String.fromCharCode(type)).join('')

/** Sends all of it at once, and gives the one error with which it ends. */
const refusedWith = async (world: World, ...bytes: readonly Buffer[]): Promise<Record<string, string>> => errorIn(await rawClient(world.port, ...bytes).toEnd())

const connectionsAt = async (): Promise<number> => Number((await (await server()).query<{ n: string }>("select count(*) as n from pg_stat_activity where usename in ('app_scram', 'reporting')"))[0]?.n)

const psql = async (world: World, sql: string, env: Readonly<Record<string, string>> = {}, ...more: readonly string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)('psql', ['-XAtq', '-c', sql, ...more], { env: { PATH: process.env['PATH'], PGHOST: '127.0.0.1', PGPORT: String(world.port), PGUSER: 'anybody', PGDATABASE: 'crm', PGPASSWORD: 'alice', PGCONNECT_TIMEOUT: '10', ...env } })
  return stdout.trim()
}

const client = async (world: World, change: pg.ClientConfig = {}): Promise<pg.Client> => {
  const made = new pg.Client({ host: '127.0.0.1', port: world.port, user: 'anybody', database: 'crm', password: 'alice', ...change })
  made.on('error', () => {})
  await made.connect()
  return made
}

describe('logging in', () => {
  test('psql and node-postgres get a session of the configured role in the configured database, under a name that says who it is', async () => {
    await using world = await worldFor(await server())
    assert.equal(await psql(world, "select current_user, current_database(), current_setting('application_name'), current_setting('client_encoding')"), 'app_scram|postgres|alice via countersign|UTF8')
    const one = await client(world)
    assert.deepEqual((await one.query('select $1::int + 1 as n', [41])).rows, [{ n: 42 }])
    await one.end()
    const [arrival] = world.arrivals
    assert.deepEqual([arrival?.caller.subject, arrival?.role, arrival?.database, arrival?.service.name], ['alice', 'app_scram', 'postgres', 'crm'])
    assert.deepEqual(world.claims.map(({ from, address }) => [from, address]), [['password', '127.0.0.1'], ['password', '127.0.0.1']])
    await until('the sessions at the server to end', async () => (await connectionsAt()) === 0)
  })

  test('a long token passes, one over the limit does not get to be looked at', async () => {
    await using world = await worldFor(await server(), { limits: { connections: 5, connectionsPerCaller: 5, tokenBytes: 60_000, sqlBytes: 1_000, parameterBytes: 1_000 } })
    assert.equal(await psql(world, 'select 1', { PGPASSWORD: 'x'.repeat(60_000) }), '1')
    assert.equal(world.claims.length, 1)
    assert.equal((await refusedWith(world, hello(), token('x'.repeat(60_001))))['C'], '28P01')
    assert.equal((await refusedWith(world, hello(), token('x'.repeat(70_000))))['C'], '08P01')
    assert.equal(world.claims.length, 1)
  })

  test('the database says which service, the user name which role; a client picks neither at the server', async () => {
    const { port } = await server()
    const roles = new Map([['reporting', { user: 'reporting', password: new Secret('r') }]])
    await using world = await startWorld([serviceFor(port, { roles }), serviceFor(port, { name: 'other', databases: ['other'], database: 'second' })])
    const who = 'select current_user, current_database()'
    assert.equal(await psql(world, who, { PGUSER: 'postgres' }), 'app_scram|postgres')
    assert.equal(await psql(world, who, { PGUSER: 'reporting' }), 'reporting|postgres')
    assert.equal(await psql(world, who, { PGUSER: 'reporting', PGDATABASE: 'other' }), 'app_scram|second')
    for (const database of ['second', 'template1', 'app dbname=postgres host=evil.test', '']) assert.equal((await refusedWith(world, hello({ database }), token()))['C'], '3D000')
  })

  test('without a database there must be one service only, and the user name never stands in for it', async () => {
    const { port } = await server()
    await using one = await startWorld([serviceFor(port)])
    const raw = rawClient(one.port, startupPacket(0, [['user', 'second']]), token())
    await raw.until('Z')
    assert.equal(one.arrivals[0]?.database, 'postgres')
    raw.socket.destroy()
    await using two = await startWorld([serviceFor(port), serviceFor(port, { name: 'other', databases: ['second'], database: 'second' })])
    assert.equal((await refusedWith(two, startupPacket(0, [['user', 'second']]), token()))['C'], '3D000')
  })

  test('whether a database is there is said to nobody whose token is not good', async () => {
    await using world = await worldFor(await server())
    for (const database of ['crm', 'nowhere']) {
      const error = await refusedWith(world, hello({ database }), token('bad'))
      assert.deepEqual([error['S'], error['C'], error['M']], ['FATAL', '28P01', 'The token is not accepted.'])
    }
    assert.equal(world.arrivals.length, 0)
  })

  test('no token, no user, no password message at all', async () => {
    await using world = await worldFor(await server())
    assert.equal((await refusedWith(world, hello(), token('')))['C'], '28000')
    assert.equal((await refusedWith(world, startupPacket(0, [['database', 'crm']]), token()))['C'], '28000')
    assert.equal((await refusedWith(world, hello(), select1))['C'], '08P01')
    assert.deepEqual(errorIn(await rawClient(world.port, hello(), message(frontend.terminate)).toEnd()), {})
    assert.equal(world.claims.length, 0)
  })

  test('the bytes may come one by one, or all at once with the first statement behind them', async () => {
    await using world = await worldFor(await server())
    const all = Buffer.concat([hello(), token(), select1])
    const slow = rawClient(world.port)
    slow.socket.setNoDelay(true)
    for (const byte of all) await new Promise((resolve) => slow.socket.write(Buffer.from([byte]), resolve))
    const quick = rawClient(world.port, all)
    for (const raw of [slow, quick]) await until('the answer to the statement', () => types(framesOf(raw.received())).endsWith('ZTDCZ'))
    assert.equal(types(framesOf(slow.received())), types(framesOf(quick.received())))
    for (const raw of [slow, quick]) raw.socket.destroy()
  })

  test('a hostile name is harmless at the server', async () => {
    await using world = await worldFor(await server())
    const subject = `é'; drop table t; --\n\u202e${'x'.repeat(200)}`
    const found = await psql(world, "select current_setting('application_name')", { PGPASSWORD: subject })
    assert.equal(found, `?'; drop table t; --??${'x'.repeat(25)} via countersign`)
    assert.equal(Buffer.byteLength(found), 63)
  })

  test('a server that is not there: an error that says so and no more', async () => {
    await using world = await startWorld([serviceFor(1)])
    const error = await refusedWith(world, hello(), token())
    assert.deepEqual([error['S'], error['C'], error['M']], ['FATAL', '08006', 'The service cannot be reached.'])
    assert.match(world.logged.join(), /ECONNREFUSED/)
    const { port } = await server()
    await using wrong = await startWorld([serviceFor(port, { credential: { user: loginRoles.scram.user, password: new Secret('stale') } })])
    assert.equal((await refusedWith(wrong, hello(), token()))['M'], 'The service cannot be reached.')
    assert.match(wrong.logged.join(), /28P01/)
    assert.doesNotMatch(wrong.logged.join(), /stale/)
  })
})

describe('start-up parameters', () => {
  for (const [name, value] of [
    ['options', '-c search_path=evil'], ['options', '--search_path=evil'], ['options', ''], ['search_path', 'evil'], ['SEARCH_PATH', 'evil'], ['session_preload_libraries', 'x'], ['role', 'postgres'], ['standard_conforming_strings', 'off'],
    ['replication', 'database'], ['replication', 'true'], ['replication', 'on'], ['client_encoding', 'LATIN1'], ['client_encoding', 'SJIS'], ['DateStyle', "ISO'; drop"], ['TimeZone', 'x y z'], ['extra_float_digits', '1e9'], ['statement_timeout', '1 or more'], ['jit', 'off'],
  ] as const)
    test(`${name}=${value} is refused before anybody is asked anything`, async () => {
      await using world = await worldFor(await server())
      const frames = await rawClient(world.port, hello({ [name]: value }), token()).toEnd()
      assert.equal(types(frames), 'E')
      assert.equal(errorIn(frames)['C'], '0A000')
      assert.equal(world.claims.length, 0)
    })

  test('one name in two spellings is malformed', async () => {
    await using world = await worldFor(await server())
    assert.equal((await refusedWith(world, hello({ datestyle: 'ISO', DateStyle: 'SQL' }), token()))['C'], '08P01')
    assert.equal((await refusedWith(world, hello({ USER: 'other' }), token()))['C'], '08P01')
  })

  test('how long something may take passes, as drivers have settings for it', async () => {
    await using world = await worldFor(await server())
    const raw = rawClient(world.port, hello({ statement_timeout: '30000', lock_timeout: '5s', idle_in_transaction_session_timeout: '10min' }), token(), message(frontend.query, "select concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'))\0"))
    assert.match((await raw.until('D')).bytes.toString(), /30s 5s 10min/)
    raw.socket.destroy()
  })

  test('what only says how values are written passes; the encoding is UTF-8 in whatever spelling', async () => {
    await using world = await worldFor(await server())
    for (const encoding of ['UTF8', "'utf-8'", 'unicode', 'SQL_ASCII']) {
      const raw = rawClient(world.port, hello({ client_encoding: encoding, DateStyle: 'German', timezone: 'Asia/Tokyo', IntervalStyle: 'iso_8601', extra_float_digits: '2', application_name: 'mine', replication: 'false' }), token())
      await raw.until('Z')
      const { backend } = world.arrivals.at(-1) ?? {}
      assert.deepEqual(['DateStyle', 'TimeZone', 'IntervalStyle', 'client_encoding', 'application_name'].map((name) => backend?.parameters.get(name)), ['German, DMY', 'Asia/Tokyo', 'iso_8601', 'UTF8', 'alice via countersign'])
      raw.socket.destroy()
    }
  })
})

describe('protocol versions', () => {
  for (const [minor, keyBytes] of [[0, 4], [1, 4], [2, 32]] as const)
    test(`3.${minor} is spoken, with a key of ${keyBytes} bytes that is not the server's`, async () => {
      await using world = await worldFor(await server())
      const raw = rawClient(world.port, hello({}, minor), token())
      await raw.until('Z')
      assert.match(types(framesOf(raw.received())), /^RRS+KZ$/)
      const { pid, key } = readKeyData(await raw.until('K'))
      assert.equal(key.length, keyBytes)
      assert.equal(pid, world.arrivals[0]?.backend.pid)
      assert.notDeepEqual(key, world.arrivals[0]?.backend.key)
      assert.equal(world.arrivals[0]?.protocol, minor)
      raw.socket.destroy()
    })

  test('a newer minor and unknown extensions are negotiated down', async () => {
    await using world = await worldFor(await server())
    const raw = rawClient(world.port, hello({ '_pq_.greasy': 'on', '_pq_.other': '' }, 9_999), token())
    await raw.until('Z')
    assert.deepEqual(readNegotiation(await raw.until('v')), { minor: 2, options: ['_pq_.greasy', '_pq_.other'] })
    assert.match(types(framesOf(raw.received())), /^vRRS+KZ$/)
    raw.socket.destroy()
  })

  test('another major is not spoken, and what is no start-up packet is malformed', async () => {
    await using world = await worldFor(await server())
    assert.equal((await refusedWith(world, Buffer.from('0000000800020000', 'hex')))['C'], '0A000')
    assert.equal((await refusedWith(world, Buffer.from('7fffffff00030000', 'hex')))['C'], '08P01')
    assert.equal((await refusedWith(world, Buffer.from('GET / HTTP/1.1\r\n\r\n')))['C'], '08P01')
    assert.equal((await refusedWith(world, Buffer.from('0000000c00030000ffff0000', 'hex')))['C'], '08P01')
  })
})

describe('cancel', () => {
  test('the owner stops its own statement; other keys do nothing and are told nothing', async () => {
    await using world = await worldFor(await server())
    const [owner, other] = [rawClient(world.port, hello(), token()), rawClient(world.port, hello(), token('bob'))]
    const own = readKeyData(await owner.until('K'))
    const foreign = readKeyData(await other.until('K'))
    await other.until('Z')
    owner.socket.write(message(frontend.query, 'select pg_sleep(30), 1 as cancelled\0'))
    const running = async (): Promise<boolean> => (await (await server()).query("select 1 from pg_stat_activity where query like 'select pg_sleep(30), 1 as cancelled%' and state = 'active'")).length > 0
    await until('the statement to run', running)
    const real = world.arrivals[0]?.backend.key ?? Buffer.alloc(4)
    for (const [pid, key] of [[own.pid, foreign.key], [own.pid, Buffer.alloc(4)], [own.pid, real], [own.pid, Buffer.concat([own.key, own.key])], [foreign.pid, own.key], [0, own.key]] as const) assert.deepEqual(await rawClient(world.port, cancelRequest(pid, key)).toEnd(), [])
    assert.ok(await running())
    assert.deepEqual(await rawClient(world.port, cancelRequest(own.pid, own.key)).toEnd(), [])
    const error = await owner.until('E')
    assert.equal(readFields(error).get('C'), '57014')
    for (const raw of [owner, other]) raw.socket.destroy()
  })

  test('a key is worth nothing when its session is over', async () => {
    await using world = await worldFor(await server())
    const gone = rawClient(world.port, hello(), token())
    const { pid, key } = readKeyData(await gone.until('K'))
    let cancelled = 0
    const arrival = await until('the session', () => world.arrivals[0])
    arrival.cancelled(() => cancelled++)
    await rawClient(world.port, cancelRequest(pid, key)).toEnd()
    assert.equal(cancelled, 1)
    gone.socket.destroy()
    await until('the session to end', async () => (await connectionsAt()) === 0)
    await rawClient(world.port, cancelRequest(pid, key)).toEnd()
    assert.equal(cancelled, 1)
  })
})

describe('OAUTHBEARER', () => {
  const oauth = { login: 'oauthbearer', oauth: { discoveryUrl: 'https://idp.test/.well-known/openid-configuration', scope: 'openid' } } as const
  const initial = (text: string): Buffer => saslInitialResponse('OAUTHBEARER', text.replaceAll('^', '\u0001'))

  test('a token logs in, and comes from the password place of the record', async () => {
    await using world = await worldFor(await server(), oauth)
    const raw = rawClient(world.port, hello(), initial('n,,^auth=Bearer alice^^'), select1)
    await until('the answer to the statement', () => types(framesOf(raw.received())).endsWith('ZTDCZ'))
    assert.deepEqual(world.claims.map((claim) => claim.token), ['alice'])
    raw.socket.destroy()
  })

  test('without a token it says where to get one, and closes', async () => {
    await using world = await worldFor(await server(), oauth)
    const frames = await rawClient(world.port, hello(), initial('n,,^auth=^^'), saslResponse('\u0001')).toEnd()
    assert.equal(types(frames), 'RRE')
    assert.deepEqual(JSON.parse(frames[1]?.bytes.subarray(9).toString() ?? ''), { status: 'invalid_token', 'openid-configuration': oauth.oauth.discoveryUrl, scope: 'openid' })
    assert.equal(errorIn(frames)['C'], '28000')
    assert.equal(world.claims.length, 0)
  })

  test('another mechanism, or a plain password, is malformed', async () => {
    await using world = await worldFor(await server(), oauth)
    assert.equal((await refusedWith(world, hello(), saslInitialResponse('PLAIN', 'x')))['C'], '08P01')
    assert.equal((await refusedWith(world, hello(), token()))['C'], '08P01')
    assert.equal((await refusedWith(world, hello(), initial('n,,^auth=Bearer bad^^')))['C'], '28P01')
  })
})
