import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowData, startProxiedPostgres } from '../../../support/proxied-postgres.ts'
import { until } from '../../../support/until.ts'
import { cancel, connectRaw, query } from './raw-client.ts'
import { startRelay } from './relay.ts'

test('what follows a request to cancel reaches the server when that has heard it, and not before', async () => {
  await using relay = await startRelay()
  await using place = await startProxiedPostgres({ postgres: { init: 'create table free (id int); insert into free select n from generate_series(1, 50000) n' }, rules: [...allowData], service: { upstream: `127.0.0.1:${relay.port}` } })
  relay.target = place.server.port
  await using other = await connectRaw(place.port, await place.token())
  await other.ask([query('select 1')])
  await using client = await connectRaw(place.port, await place.token())
  const sent = relay.sent.at(-1) ?? assert.fail()
  await client.ask([query('select 1')])

  const way = Promise.withResolvers<void>()
  relay.open = way.promise
  client.send(query('select count(*) from free a, free b, free c'))
  const stop = "select pg_cancel_backend(pid) as stopped from pg_stat_activity where state = 'active' and query like 'select count(*) from free%'"
  const connections = relay.sent.length
  await until('the request to be on its way', async () => {
    if (relay.sent.length > connections) return true
    void cancel(place.port, client.pid, client.key)
    return false
  })
  const from = client.heard.length
  await until('the statement to have ended by something else', async () => (await place.server.query(stop)).length === 0 && client.heard.slice(from).includes('Z I'))
  client.send(query('select 4711'))
  await other.ask([query('select 1')])
  assert.ok(!Buffer.concat(sent).includes('4711'), 'the request would stop it')
  way.resolve()
  await until('its answer', () => client.heard.includes('D 4711'))
})
