import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { startProxiedPostgres, type ProxiedPostgres } from '../../../support/proxied-postgres.ts'
import { makeTls } from '../../../support/postgres-tls.ts'
import { temporaryFolder, type TemporaryFolder } from '../../../support/temporary-folder.ts'
import { until } from '../../../support/until.ts'
import { connectRaw, query, type RawClient } from './raw-client.ts'

const many = 60_000
const rest = 'x'.repeat(500)
const emailOf = (row: number): string => `person.${row}@example.org`

const rules = [
  { name: 'masked', then: 'allow', actions: ['sql.select'], tables: ['public.people'], mask: { 'public.people.email': 'redact' } },
  { name: 'plain', then: 'allow', actions: ['sql.select'] },
]
const init = `
create table open (id int, email text, rest text);
insert into open select n, 'person.' || n || '@example.org', repeat('x', 500) from generate_series(1, ${many}) as n;
create table people as table open;
`

/** As far as a network goes that fills up: some bytes, a rest, some bytes. */
const readsSlowly = ({ socket }: RawClient): void => {
  socket.on('data', () => {
    socket.pause()
    setImmediate(() => socket.resume())
  })
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes that somebody can still reach, or that the collector has not come to yet. */
const held = (): number => {
  collect()
  return process.memoryUsage().arrayBuffers
}

for (const tls of [false, true]) {
  describe(`rows that stream ${tls ? 'with TLS on both sides' : 'in the clear'}`, { concurrency: 1 }, () => {
    let folder: TemporaryFolder
    let world: ProxiedPostgres
    before(async () => {
      folder = temporaryFolder('streaming')
      const files = tls ? await makeTls(folder.path) : undefined
      world = await startProxiedPostgres({
        postgres: { init, ...(tls ? { tls: 'required' } : {}) },
        rules,
        ...(files === undefined ? {} : { service: { tls: 'require' }, listener: { tls: { 'cert-file': files.cert, 'key-file': files.key } } }),
      })
    })
    after(async () => {
      await world?.[Symbol.asyncDispose]()
      folder?.[Symbol.dispose]()
    })

    /** Resolves when the server has nobody to take what it says, and that stays so. */
    const standsStill = async (pid: number): Promise<void> => {
      let looks = 0
      await until('the server to wait for its reader', async () => {
        const [session] = await world.server.query(`select wait_event from pg_stat_activity where pid = ${pid}`)
        looks = session?.['wait_event'] === 'ClientWrite' ? looks + 1 : 0
        return looks > 20
      }, 20_000)
    }

    for (const [table, shown] of [['open', emailOf], ['people', () => '******']] as const) {
      test(`a client that does not read holds up the server and fills no memory, one that reads slowly gets every row (${table})`, async () => {
        await using client = await connectRaw(world.port, await world.token(), { tls })
        await client.ask([query(`select * from ${table} limit 1`)])
        const before = held()
        client.socket.pause()
        client.send(query(`select id, email, rest from ${table}`))
        await standsStill(client.pid)
        await until('what has passed to be gone', () => held() - before < 1 << 20)
        readsSlowly(client)
        client.socket.resume()
        await until('the last row', () => client.heard.filter((one) => one.startsWith('Z')).length === 2, 30_000)
        const rows = client.heard.filter((one) => one.startsWith('D')).slice(1)
        assert.equal(rows.length, many)
        assert.deepEqual(rows.filter((row, at) => row !== `D ${at + 1}|${shown(at + 1)}|${rest}`).slice(0, 3), [])
      })
    }
  })
}
