import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { fail, pending } from '../outcome.ts'
import { makeDatabase, startFixture } from './fixture.ts'
import { readCodes, replaceStatement } from './pg-codes.ts'
import { exhaustGrant } from './pg-grants.ts'
import { submitPlan } from './pg-plans.ts'
import { message, valuesOf } from './messages.ts'
import { approveTwenty, severalDeed } from './pg-several.ts'
import { decide, openSession, playOf, sendPlay, settle, type PgObservation } from './play.ts'
import { errorsIn, type RawClient } from './raw-client.ts'

/* `do` of the PostgreSQL cases. */

/** Runs it with everybody's consent, on a session of its own. */
export const runApproved = async (seen: PgObservation, as: string, conn: string, sql: string): Promise<readonly (readonly (string | null)[])[]> => {
  const exchange = await sendPlay(seen, { ...playOf(seen, { pg: sql }, 'simple'), texts: [] }, { ref: `${conn}: ${sql}`, as, conn })
  for (let hold = await settle(seen, exchange); hold !== undefined; hold = await settle(seen, exchange)) await decide(seen, hold, 'approve')
  const said = exchange.client.said.slice(exchange.from, exchange.end)
  const [error] = errorsIn(said)
  if (error !== undefined) seen.found.set(`error of ${sql}`, error['C'])
  return said.filter(({ type }) => type === 'D').map(({ body }) => valuesOf(body))
}

const last = (seen: PgObservation): number => seen.place.relay.open().at(-1) ?? fail('the product is connected to no server')

const leave = async (seen: PgObservation, conn: string): Promise<void> => {
  const client = seen.sessions.get(conn) ?? fail(`no session ${conn}`)
  client.write(message({ Terminate: {} }))
  await client.until(() => client.closed, 3_000)
}

/** Behind the name of the target there is this server now; the session that waits ends with the one before. */
const move = async (seen: PgObservation, server: TestPostgres): Promise<void> => {
  const { place, exchanges } = seen
  place.keep(server)
  place.database.server = server
  place.relay.lead(server.port)
  const { client } = exchanges[0] ?? fail('nothing was sent')
  await client.until(() => client.closed, 5_000)
  seen.found.set('moved', true)
}

const deeds: Readonly<Record<string, (seen: PgObservation) => Promise<void>>> = {
  [severalDeed]: approveTwenty,
  'open a connection as req-b and note its BackendKeyData': async (seen) => void seen.sessions.set('c2', await openSession(seen, 'req-b')),
  'point the target pg-main at a server with another system identifier': async (seen) => {
    const server = await startFixture('fresh')
    await makeDatabase(server, seen.place.database.name)
    const numbers = "select string_agg(oid::text, ' ' order by oid) as all from pg_class where relnamespace = 'public'::regnamespace"
    const [before, after] = [await seen.place.database.query(numbers), await server.query(numbers, undefined, seen.place.database.name)]
    await move(seen, server)
    if (before[0]?.['all'] !== after[0]?.['all']) seen.gaps.push('the tables of the other server have other numbers, so that its identifier is not what tells the two apart')
  },
  'promote the replica of pg-main; same system identifier': async (seen) => {
    const { server } = seen.place.database
    await server.query('checkpoint')
    const replica = await startPostgres({ cluster: { of: server }, auth: 'scram-sha-256' })
    await server[Symbol.asyncDispose]()
    await move(seen, replica)
  },
  'approve r1 as a grant for one later execution': async (seen) => {
    const r1 = seen.exchanges.find(({ ref }) => ref === 'r1') ?? fail('no r1')
    r1.client.end()
    await r1.client.until(() => r1.client.closed, 3_000)
    await decide(seen, r1.holds.at(-1) ?? fail('r1 was not held'), 'approve')
  },
  'read the short code in the CLI of req-a, in the Slack message, in the console and in the PostgreSQL notice': readCodes,
  'replace the statement in the store by another one with a valid format': replaceStatement,
  'req-a submits the plan [BEGIN; UPDATE t SET a = 1 WHERE id = 1; DELETE FROM t WHERE id = 2; COMMIT]': submitPlan,
  'exhaust the count; shift the clock by 61 minutes; send as req-b': exhaustGrant,
  'on the upstream session that will run r1: CREATE TEMP TABLE users (id int)': async (seen) => await seen.place.relay.inject(last(seen), 'CREATE TEMP TABLE users (id int)'),
  'approve what concerns the INSERT, reject what concerns the DELETE (when the proxy holds them as one plan: reject the plan)': async (seen) => {
    const exchange = seen.exchanges.at(-1) ?? fail('nothing was sent')
    for (let hold = exchange.holds.at(-1); hold !== undefined; hold = await settle(seen, exchange)) {
      const text = seen.views.get(exchange.ref)?.action.text ?? ''
      await decide(seen, hold, text.includes('DELETE') ? 'deny' : 'approve')
    }
  },
  'as req-a on c1: CREATE TEMP TABLE users(id int); PREPARE p AS SELECT 1; SET statement_timeout = 1; SELECT pg_advisory_lock(1); DECLARE c CURSOR WITH HOLD FOR SELECT 1; LISTEN ch; then disconnect': async (seen) => {
    for (const sql of ['CREATE TEMP TABLE users(id int)', 'PREPARE p AS SELECT 1', 'SELECT pg_advisory_lock(1)', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'LISTEN ch', 'SET statement_timeout = 1']) await runApproved(seen, 'req-a', 'c1', sql)
    await leave(seen, 'c1')
  },
  'as req-b on c2, same upstream connection: read pg_prepared_statements, pg_cursors, pg_locks, current settings and the list of pg_temp relations': async (seen) => {
    const ask = async (name: string, sql: string): Promise<void> => void seen.found.set(name, await runApproved(seen, 'req-b', 'c2', sql))
    await ask('prepared', 'SELECT name FROM pg_catalog.pg_prepared_statements')
    await ask('cursors', 'SELECT name FROM pg_catalog.pg_cursors')
    await ask('locks', "SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory'")
    await ask('timeout', 'SHOW statement_timeout')
    await ask('temporary', "SELECT relname FROM pg_catalog.pg_class WHERE relpersistence = 't'")
  },
}

export const doPgDeed = async (seen: PgObservation, sentence: string): Promise<void> => {
  const deed = Object.hasOwn(deeds, sentence) ? deeds[sentence] : undefined
  if (deed === undefined) return pending(`no way yet to: ${sentence}`)
  await deed(seen)
}

/** Asks to cancel what this session does. */
export const cancelRequest = ({ key }: RawClient): Buffer => message({ CancelRequest: { pid: key?.pid ?? 0, key: key?.secret ?? '00000000' } })

