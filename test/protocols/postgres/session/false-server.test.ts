import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { int16, int32, message } from '../../../../src/protocols/postgres/codec/writing.ts'
import { startProxiedPostgres, type ProxiedPostgres } from '../../../support/proxied-postgres.ts'
import { until } from '../../../support/until.ts'
import * as raw from './raw-client.ts'
import { connectRaw, type RawClient } from './raw-client.ts'
import { startRelay, type RecordingRelay, type Relayed } from './relay.ts'

const { bind, execute, parse, query, sync } = raw
const says = (letter: string, ...parts: readonly (string | Buffer)[]): Buffer => message(letter.charCodeAt(0), ...parts)

const rules = [
  { name: 'read', then: 'allow', actions: ['sql.select', 'sql.copy.in', 'sql.insert'] },
  { name: 'change', then: 'hold', actions: ['sql.delete'], approval: { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' } },
]

/** What is on the way to and from the server has a bound, and no answer is taken for that of another statement. */
describe('a session whose server is slow, silent or false', { concurrency: 1 }, () => {
  let world: ProxiedPostgres
  let relay: RecordingRelay
  before(async () => {
    relay = await startRelay()
    world = await startProxiedPostgres({ postgres: { init: 'create table t (id int); create table log (text text)' }, rules, service: { upstream: `127.0.0.1:${relay.port}` } })
    relay.target = world.server.port
    await using first = await connectRaw(world.port, await world.token())
    await first.ask([query('select 1')]) // the connection for the catalog is there
  })
  after(async () => {
    await world?.[Symbol.asyncDispose]()
    await relay?.[Symbol.asyncDispose]()
  })

  /** A client, and the connection to the server that is its own. */
  const connect = async (): Promise<RawClient & { readonly server: Relayed }> => {
    const client = await connectRaw(world.port, await world.token())
    await client.ask([query('select 1')]) // names are known
    return Object.assign(client, { server: relay.connections.at(-1) ?? assert.fail() })
  }
  const heardBy = ({ sent }: Relayed): number => sent.reduce((sum, { length }) => sum + length, 0)
  const executed = (): number => world.records().filter(({ type, outcome }) => type === 'finished' && (outcome as { result: string }).result === 'executed').length

  /** Ends are on record a moment later than their clients know. */
  const recorded = (): Promise<true> => until('every end to be on record', () => {
    const count = (wanted: string): number => world.records().filter(({ type }) => type === wanted).length
    return count('started') === count('finished')
  })

  const unexpected: Readonly<Record<string, Buffer>> = {
    ReadyForQuery: says('Z', 'I'),
    CommandComplete: says('C', 'DELETE 1\0'),
    DataRow: says('D', int16(0)),
    RowDescription: says('T', int16(0)),
    NoData: says('n'),
    PortalSuspended: says('s'),
    EmptyQueryResponse: says('I'),
    ParseComplete: says('1'),
    CopyInResponse: says('G', '\0', int16(0)),
    CopyOutResponse: says('H', '\0', int16(0)),
    CopyBothResponse: says('W', '\0', int16(0)),
    CopyData: says('d', 'data'),
    CopyDone: says('c'),
    AuthenticationCleartextPassword: says('R', int32(3)),
    BackendKeyData: says('K', int32(3), int32(3)),
    FunctionCallResponse: says('V', int32(-1)),
    NegotiateProtocolVersion: says('v', int32(196_608), int32(0)),
    'a message of no type': says('?'),
    'another encoding': says('S', 'client_encoding\0', 'SJIS\0'),
    'other strings': says('S', 'standard_conforming_strings\0', 'off\0'),
  }
  for (const [name, bytes] of Object.entries(unexpected)) {
    test(`${name} out of place ends it`, async () => {
      await using client = await connect()
      client.server.say(bytes)
      await until('the end', () => client.closed())
    })
  }

  const answers: Readonly<Record<string, Buffer>> = {
    'two ReadyForQuery': Buffer.concat([says('C', 'SELECT 1\0'), says('Z', 'I'), says('Z', 'I')]),
    'an unknown status': Buffer.concat([says('C', 'SELECT 1\0'), says('Z', 'X')]),
    'a question for data': says('G', '\0', int16(0)),
    'an impossible length': Buffer.from('4400000003', 'hex'),
    'a length beyond all bounds': Buffer.from('547fffffff', 'hex'),
    'an error without an end': says('E', 'SERROR'),
    'a broken status': says('S', 'TimeZone\0'),
  }
  for (const [name, bytes] of Object.entries(answers)) {
    test(`${name} for a SELECT ends it, and nothing is executed`, async () => {
      await using client = await connect()
      await recorded()
      const before = executed()
      client.server.silence()
      client.send(query('select 7'), query("insert into log values ('x')"))
      await until('the statements to be sent', () => Buffer.concat(client.server.sent).includes('insert into log'))
      client.server.say(bytes)
      await until('the end', () => client.closed())
      assert.ok(executed() - before <= 1)
    })
  }

  test('a broken connection while something runs: its end is unknown, what waits behind it is refused', async () => {
    await using client = await connect()
    client.server.silence()
    client.send(query("insert into log values ('once')"))
    await until('it to be sent', () => Buffer.concat(client.server.sent).includes('once'))
    client.server.cut()
    await until('the end', () => client.closed())
    assert.equal(client.error()?.get('C'), '57P01')
    await until('the record', () => world.records().some(({ type, outcome }) => type === 'finished' && (outcome as { result: string }).result === 'unknown'))
  })

  test('notices, notifications and errors of the server’s own pass, and nothing moves', async () => {
    await using client = await connect()
    client.server.say(says('N', 'SNOTICE\0C01000\0Mone\0\0'), says('A', int32(1), 'channel\0', 'text\0'), says('E', 'SFATAL\0C57P01\0Mgoing\0\0'), says('S', 'TimeZone\0', 'UTC\0'))
    await client.hears(/^E 57P01/)
    assert.deepEqual(await client.ask([query('select 8')]).then((heard) => heard.filter((one) => one !== 'S')), ['T', 'D 8', 'C SELECT 1', 'Z I'])
  })

  test('a server that answers nothing is sent a bounded number of messages', async () => {
    await using client = await connect()
    client.server.silence()
    const one = Buffer.concat([parse('select 1'), bind(), execute(), sync])
    const before = heardBy(client.server)
    for (let batch = 0; batch < 20; batch++) client.socket.write(Buffer.concat(Array.from({ length: 2_000 }, () => one)))
    await until('as much as it is sent', () => heardBy(client.server) - before > 1_000 * one.length, 20_000)
    await raw.standsStill('what the server is sent', () => heardBy(client.server))
    assert.ok(heardBy(client.server) - before < 3_000 * one.length, String(heardBy(client.server) - before))
  })

  test('a pipeline of any length is served to its end', async () => {
    await using client = await connect()
    const many = 3_000
    const one = Buffer.concat([parse('select 5'), bind(), execute()])
    const heard = await client.ask([...Array.from({ length: many }, () => one), sync])
    assert.equal(heard.filter((line) => line === 'D 5').length, many)
  })

  test('many clients that begin long messages do not take all memory together', async () => {
    const begun = Buffer.concat([Buffer.from([0x42, 0, 0xe0, 0, 0]), Buffer.alloc((14 << 20) - 100)])
    const token = await world.token()
    const clients = await Promise.all(Array.from({ length: 22 }, () => connectRaw(world.port, token)))
    try {
      for (const client of clients) client.socket.write(begun)
      await until('some to be refused', () => clients.filter((client) => client.closed()).length >= 3, 20_000)
      await raw.standsStill('the number of those that are refused', () => clients.filter((client) => client.closed()).length)
      const refused = clients.filter((client) => client.closed())
      assert.ok(refused.length < 8, String(refused.length))
      for (const client of refused) assert.deepEqual([client.error()?.get('S'), client.error()?.get('C')], ['FATAL', '53300'])
      await using other = await connectRaw(world.port, token)
      assert.deepEqual(await other.ask([query('select 9')]), ['T', 'D 9', 'C SELECT 1', 'Z I'])
    } finally {
      for (const client of clients) await client[Symbol.asyncDispose]()
    }
    await using again = await connectRaw(world.port, token)
    assert.deepEqual(await again.ask([parse('select $1::text is null'), bind(['x'.repeat(14 << 20)]), execute(), sync]).then((heard) => heard.slice(-3)), ['D f', 'C SELECT 1', 'Z I'])
  })

  test('small messages behind a hold cost no more memory than large ones', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    await using client = await connect()
    client.send(query('delete from t'))
    await client.hears(/^N/)
    collect()
    const before = process.memoryUsage().heapUsed
    client.socket.write(Buffer.concat(Array.from({ length: 3_000_000 }, () => sync)))
    assert.ok((await raw.standsStill('what is not taken', () => client.socket.writableLength)) > 0)
    collect()
    assert.ok(process.memoryUsage().heapUsed - before < 30 << 20, String((process.memoryUsage().heapUsed - before) >> 20))
    for (const hold of await world.holds()) await world.vote(hold, 'deny')
  })
})
