import { api, statusText, viewOf } from '../observation.ts'
import { fail } from '../outcome.ts'
import { decide, lastWritten, playOf, sendPlay, settle, type PgExchange, type PgObservation } from './play.ts'
import { errorsIn } from './raw-client.ts'
import type { PgWorld } from './pg-world.ts'

/* What an approver let through beside one approval. */

const granted = new WeakMap<PgWorld, Promise<void>>()

/** Eleven rows, and a grant that req-a got with the change of one of them. Once for all runs that share a world. */
export const makeGranted = async (seen: PgObservation): Promise<void> => {
  const made = granted.get(seen.place) ?? grant(seen)
  granted.set(seen.place, made)
  await made
}

const grant = async (seen: PgObservation): Promise<void> => {
  const { world, database } = seen.place
  await database.query('insert into t select n, n from generate_series(3, 11) n')
  const exchange = await send(seen, 'req-a', 'UPDATE t SET a = 1 WHERE id IN (2)')
  const hold = await settle(seen, exchange)
  const view = hold === undefined ? undefined : await viewOf(world, hold)
  if (hold === undefined || view === undefined) return fail(`the change to grant more of was not held: ${hold} ${JSON.stringify(errorsIn(exchange.client.said))}`)
  const reply = await api(world, 'appr-a', 'POST', `/api/holds/${hold}/votes`, { verdict: 'approve', digest: view.action.digest, grant: { times: 5, rows: 10, within: '1h' } })
  if (statusText(reply) !== '200') fail(`it was not granted: ${typeof reply === 'object' ? reply.body.toString().slice(0, 200) : reply}`)
  await settle(seen, exchange)
}

const send = (seen: PgObservation, as: string, sql: string): Promise<PgExchange> => sendPlay(seen, { ...playOf(seen, { pg: sql }, 'simple'), texts: [] }, { ref: `${as} ${seen.exchanges.length}`, as })

const isHeld = async (seen: PgObservation, as: string, why: string): Promise<void> => {
  const exchange = await send(seen, as, `UPDATE t SET a = 5 WHERE id IN (${seen.exchanges.length + 1})`)
  const hold = await settle(seen, exchange)
  if (hold === undefined) fail(`it was not held ${why}: ${JSON.stringify(errorsIn(exchange.client.said.slice(exchange.from)))}`)
  else await decide(seen, hold, 'deny')
  await settle(seen, exchange)
}

/** Each end of a grant by itself: another principal, its count, its time. */
export const exhaustGrant = async (seen: PgObservation): Promise<void> => {
  const { clock } = seen.place.world
  await isHeld(seen, 'req-b', 'for another principal')
  for (let uses = 1; uses <= 4; uses++) {
    const exchange = await send(seen, 'req-a', `UPDATE t SET a = 5 WHERE id IN (${uses})`)
    if ((await settle(seen, exchange)) !== undefined || errorsIn(exchange.client.said.slice(exchange.from)).length > 0) fail(`use ${uses} was not let through`)
  }
  clock.allMs += 61 * 60_000
  await isHeld(seen, 'req-a', 'when its time was over')
  clock.allMs -= 61 * 60_000
  const last = await send(seen, 'req-a', 'UPDATE t SET a = 5 WHERE id IN (5)')
  if ((await settle(seen, last)) !== undefined) fail('the fifth use was not let through')
  // What it let through is none of what the case forbids.
  Object.assign(seen.before, { written: await lastWritten(seen.place) })
  await isHeld(seen, 'req-a', 'when its count was used up')
}
