/** pgbench's own mix of reads and writes in one transaction, by each protocol. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { startProxiedPostgres, type ProxiedPostgres } from '../support/proxied-postgres.ts'
import { ways } from './ways.ts'

const run = promisify(execFile)

describe('pgbench', () => {
  let place: ProxiedPostgres
  before(async () => {
    place = await startProxiedPostgres()
    const [direct] = await ways(place)
    await run('pgbench', ['-i', '-q', '-s', '1', direct.config.database], { env: { ...process.env, ...direct.env } })
  })
  after(async () => await place[Symbol.asyncDispose]())

  for (const mode of ['simple', 'extended', 'prepared'] as const) {
    test(`${mode}: every transaction is done once, and their sums agree`, async () => {
      const [, ours] = await ways(place)
      await place.server.query('truncate pgbench_history; update pgbench_branches set bbalance = 0; update pgbench_tellers set tbalance = 0; update pgbench_accounts set abalance = 0 where abalance <> 0')
      const { stdout } = await run('pgbench', ['-n', '-M', mode, '-c', '4', '-t', '50', ours.config.database], { env: { ...process.env, ...ours.env } })
      assert.match(stdout, /number of transactions actually processed: 200\/200/)
      const [sums] = await place.server.query('select (select count(*)::int from pgbench_history) as n, (select sum(delta)::int from pgbench_history) as d, (select sum(bbalance)::int from pgbench_branches) as b, (select sum(tbalance)::int from pgbench_tellers) as t, (select sum(abalance)::int from pgbench_accounts) as a')
      assert.deepEqual(sums, { n: 200, d: sums?.['d'], b: sums?.['d'], t: sums?.['d'], a: sums?.['d'] })
    })
  }
})
