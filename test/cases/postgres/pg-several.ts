import { until } from '../../support/until.ts'
import { list, type Tree } from '../loader.ts'
import { api, eventsOf, jsonOf, statusText, viewOf, type HoldView } from '../observation.ts'
import { fail } from '../outcome.ts'
import { message } from './messages.ts'
import { holdOf, sendHttp } from './pg-beside.ts'
import { openSession, type PgObservation } from './play.ts'

/* Twenty holds that somebody decides in one step: nineteen dull requests, and among them a statement that leaves no row. */

export const severalState = '20 holds; number 13 is DELETE FROM users (unbounded)'
export const severalDeed = 'appr-a selects all 20 in the console and approves'

const grave = 13
const refs = Array.from({ length: 20 }, (_, at) => `h${at + 1}`)

const idOf = (seen: PgObservation, ref: string): string => (ref === `h${grave}` ? String(seen.found.get(ref)) : (holdOf(seen, ref) ?? fail(`${ref} was not held`)))

export const openTwenty = async (seen: PgObservation): Promise<void> => {
  for (const [at, ref] of refs.entries()) {
    if (at + 1 !== grave) {
      await sendHttp(seen, { http: { as: 'req-a', method: 'POST', target: `/admin/users?n=${at + 1}`, headers: [['Prefer', 'respond-async']], body: '{}' }, ref })
      continue
    }
    const client = await openSession(seen, 'req-a')
    seen.sessions.set(ref, client)
    client.write(message({ Query: 'DELETE FROM users' }))
    const held = await until('the DELETE to be held', () => eventsOf({ world: seen.place.world, before: { ...seen.before, seen: new Set(), memory: 0, at: 0 } }).find((event) => event.type === 'held' && event.action.service === 'pg-main'))
    seen.found.set(ref, held.type === 'held' ? held.hold : '')
  }
}

/** As the console does it: each with the digest and the revision that were looked at. */
export const approveTwenty = async (seen: PgObservation): Promise<void> => {
  const { world } = seen.place
  const views = new Map<string, HoldView>()
  for (const ref of refs) views.set(ref, (await viewOf(world, idOf(seen, ref))) ?? fail(`${ref} is not to be seen`))
  const holds = refs.map((ref) => ({ id: idOf(seen, ref), digest: views.get(ref)?.action.digest, revision: views.get(ref)?.revision }))
  const reply = await api(world, 'appr-a', 'POST', '/api/votes', { verdict: 'approve', holds })
  seen.found.set('bulk', statusText(reply))
  const results = list(jsonOf(reply)?.['results']) as readonly Tree[]
  for (const [at, result] of results.entries()) {
    const wanted = at + 1 === grave ? 403 : 200
    if (result['id'] !== holds[at]?.id || result['status'] !== wanted) fail(`${refs[at]} was answered ${JSON.stringify(result).slice(0, 200)}`)
  }
  if (results.length !== refs.length) fail(`${results.length} results came`)
  seen.found.set('digests', views)
}

/** What was left out has its record, too: with its own digest, and why. */
export const eachRecorded = (seen: PgObservation): void => {
  const views = seen.found.get('digests') as ReadonlyMap<string, HoldView>
  const events = seen.place.world.events().slice(seen.before.events)
  for (const [ref, { action }] of views) {
    const id = idOf(seen, ref)
    const own = events.filter((event) => (event.type === 'voted' || event.type === 'vote-refused') && event.hold === id)
    const [one] = own
    if (own.length !== 1 || one === undefined || !('digest' in one) || one.digest !== action.digest) fail(`${ref} has ${own.length} records of its own`)
    if (ref === `h${grave}` ? one?.type !== 'vote-refused' || one.refusal !== 'not-together' : one?.type !== 'voted' || one.vote.digest !== action.digest || one.vote.together !== refs.length) fail(`the record of ${ref} is ${JSON.stringify(one).slice(0, 300)}`)
  }
  if (new Set([...views.values()].map(({ action }) => action.digest)).size !== refs.length) fail('two of them have one digest')
}
