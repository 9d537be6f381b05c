import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'
import { startProxiedPostgres, type ProxiedPostgres } from '../../../support/proxied-postgres.ts'
import { until } from '../../../support/until.ts'
import * as raw from './raw-client.ts'
import { startRelay, type RecordingRelay } from './relay.ts'

const { bind, describe: described, execute, flush, parse, query, sync } = raw

const rules = [
  { name: 'read', then: 'allow', actions: ['sql.select'] },
  { name: 'log', then: 'allow', actions: ['sql.insert', 'sql.copy.in'], tables: ['public.log'] },
  { name: 'ddl', then: 'deny', actions: ['sql.ddl', 'sql.delete'], because: 'No.' },
]

const streams: Readonly<Record<string, { readonly messages: readonly Buffer[]; readonly ready: number }>> = {
  simple: { messages: [query('select 1'), query('delete from t'), query('select 2')], ready: 3 },
  extended: { messages: [parse('delete from t where id = $1', '', [23]), bind(['1']), execute(), sync, query("insert into log values ('x')")], ready: 2 },
  mixed: { messages: [parse('select 1', 's1'), described('S', 's1'), flush, bind([], { statement: 's1' }), execute(), sync, query('drop table t'), query('begin'), query('drop table t'), query('commit')], ready: 5 },
  copy: { messages: [query('copy log from stdin'), raw.copyData('one\ntwo\n'), raw.copyData('three\n'), raw.copyDone, raw.close('S', 's1'), sync], ready: 2 },
}

/** Cuts that repeat from run to run. */
const draws = (seed: number): (() => number) => {
  let state = seed
  return () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31
}

const cutsOf = (bytes: Buffer, how: 'bytes' | 'whole' | number): readonly Buffer[] => {
  if (how === 'whole') return [bytes]
  const draw = draws(typeof how === 'number' ? how + 1 : 0)
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = how === 'bytes' ? 1 : 1 + Math.floor(draw() ** 3 * 60)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

/** Decisions do not depend on how a client cuts what it sends into packets (G08). */
describe('segmentation', { concurrency: 1 }, () => {
  let world: ProxiedPostgres
  let relay: RecordingRelay
  before(async () => {
    relay = await startRelay()
    world = await startProxiedPostgres({ postgres: { init: 'create table t (id int); create table log (text text)' }, rules, service: { upstream: `127.0.0.1:${relay.port}` } })
    relay.target = world.server.port
  })
  after(async () => {
    await world?.[Symbol.asyncDispose]()
    await relay?.[Symbol.asyncDispose]()
  })

  const run = async (name: string, how: 'bytes' | 'whole' | number): Promise<{ readonly toClient: string; readonly toServer: string }> => {
    const { messages, ready } = streams[name] ?? assert.fail()
    await using client = await raw.connectRaw(world.port, await world.token())
    const connection = relay.sent.at(-1) ?? assert.fail()
    const before = Buffer.concat(connection).length
    for (const piece of cutsOf(Buffer.concat(messages), how)) {
      client.socket.write(piece)
      await turn()
    }
    await until('all answers', () => client.heard.filter((one) => one.startsWith('Z')).length === ready, 10_000)
    const sent = Buffer.concat(connection).subarray(before).toString('latin1').replaceAll(/countersign_no_[0-9a-f]{32}/g, 'POISON')
    return { toClient: client.bytes().toString('latin1'), toServer: withoutFlush(Buffer.from(sent, 'latin1')) }
  }

  for (const name of Object.keys(streams)) {
    test(name, async () => {
      await run(name, 'whole') // the first session of all opens connections of our own
      const whole = await run(name, 'whole')
      assert.ok(whole.toClient.length > 0 && whole.toServer.length > 0)
      for (const how of ['bytes', ...Array.from({ length: 12 }, (_, at) => at)] as const) assert.deepEqual(await run(name, how), whole, String(how))
    })
  }
})

/** A Flush asks for answers sooner and for nothing else; whether one is needed depends on what has come already. */
const withoutFlush = (bytes: Buffer): string => {
  const kept: string[] = []
  for (let at = 0; at < bytes.length; ) {
    // The length of a message in which the nonce was replaced is that of the nonce.
    const text = bytes.toString('latin1', at)
    const poisoned = /^[QE]....POISON/s.exec(text)
    const size = poisoned === null ? 1 + bytes.readInt32BE(at + 1) : 1 + bytes.readInt32BE(at + 1) - 'countersign_no_'.length - 32 + 'POISON'.length
    if (bytes[at] !== 0x48) kept.push(bytes.toString('latin1', at, at + size))
    at += size
  }
  return kept.join('')
}
