import { fail } from '../outcome.ts'
import { viewOf, vote, statusText } from '../observation.ts'
import { inTheEnd } from '../../support/until.ts'
import { makeDatabase, proxyRole } from './fixture.ts'
import { ask, type Asked, type Trial } from './pg-ask.ts'
import { startPgWorld, type PgWorld } from './pg-world.ts'
import { lastWritten, written } from './play.ts'

/* The mutation matrix over PostgreSQL: one approval, and everything that differs from what it is for in one point. */

const base: Asked = { as: 'req-a', user: 'req-a', database: 'app', sql: 'DELETE FROM t WHERE id = $1', bound: { params: ['1'], types: [23], formats: [0] } }

const bound = (change: Partial<NonNullable<Asked['bound']>>): Partial<Asked> => ({ bound: { params: ['1'], types: [23], formats: [0], ...change } })

const mutants: Readonly<Record<string, Partial<Asked>>> = {
  'sql-one-character': { sql: 'DELETE FROM t WHERE id > $1' },
  'sql-white-space': { sql: 'DELETE FROM t WHERE id = $1 ' },
  'sql-case-of-identifier': { sql: 'DELETE FROM T WHERE id = $1' },
  'sql-qualified': { sql: 'DELETE FROM public.t WHERE id = $1' },
  'param-value': bound({ params: ['2'] }),
  'param-value-spelling': bound({ params: ['01'] }),
  'param-type': bound({ types: [20] }),
  'param-type-left-out': bound({ types: [] }),
  'param-format': bound({ params: ['\0\0\0\u0001'], formats: [1] }),
  'param-format-left-out': bound({ formats: [] }),
  'param-null': bound({ params: [null] }),
  'result-format': bound({ resultFormats: [1] }),
  protocol: { sql: 'DELETE FROM t WHERE id = 1', bound: undefined },
  target: { database: 'twin' },
  database: { database: 'other' },
  role: { user: 'second' },
  'principal-issuer': { issuer: 'idp-b' },
  'principal-subject': { as: 'req-b' },
  'agent-id': { as: 'agent-appr-a' },
  'delegation-chain': { as: 'agent-a' },
}

/** The same server under another name; another database on it; a second role; enough room for all the holds. */
const startPlace = async (other: string): Promise<PgWorld> =>
  await startPgWorld({ given: {} }, {
    service: { roles: { second: { user: 'app_second', password: '${env:CASES_PG}' } } },
    change(profile, { service }) {
      const { roles: _roles, ...same } = service
      const services = profile.config['services'] as Record<string, unknown>
      services['pg-twin'] = { ...same, databases: ['twin'] }
      services['pg-other'] = { ...same, database: other, databases: ['other'] }
      for (const policy of profile.policies) if (policy.policy === 'pg-main') policy.services.push('pg-twin', 'pg-other')
      ;(profile.config['approvals'] as Record<string, unknown>)['open-per-caller'] = 100
    },
  })

type Seen = Parameters<typeof written>[0]

const stateOf = async ({ world }: PgWorld, hold: string): Promise<string | undefined> => (await viewOf(world, hold))?.state

/** It asks for itself or not at all; it changes nothing; the approval stays what it is. */
const refused = async (seen: Seen, hold: string, name: string, asked: Asked): Promise<void> => {
  const { place } = seen
  const trial = await ask(place, asked)
  if (trial.hold === hold) fail(`${name}: the mutant found the approval of another action`)
  if (trial.client.said.slice(trial.client.began).some(({ type }) => type === 'C')) fail(`${name}: the mutant was completed`)
  if ((await written(seen)).length > 0) fail(`${name}: the mutant ran`)
  const state = await stateOf(place, hold)
  if (state !== 'approved') fail(`${name}: the approval is ${state} after the mutant`)
  trial.client.end()
}

/** Where unqualified names lead now: to a table of the same name that is none of the approver's business. */
const elsewhere = async ({ database }: PgWorld, path: string): Promise<void> => void (await database.query(`alter database ${database.name} set search_path = ${path}`))

const approved = async ({ world }: PgWorld, { client, hold }: Trial): Promise<string> => {
  if (hold === undefined) return fail('the action was not held')
  client.end()
  const said = await vote(world, 'appr-b', hold, 'approve')
  return statusText(said) === '200' ? hold : fail(`the approval was answered ${statusText(said)}`)
}

/** How many mutants there were. */
export const pgMatrix = async (): Promise<number> => {
  await using other = await makeDatabase()
  await using place = await startPlace(other.name)
  const { database } = place
  await database.query(`do $$ begin create role app_second login password '${proxyRole.password}'; exception when duplicate_object then null; end $$; grant all on t to app_second; create table evil.t (id int primary key, a int); grant all on evil.t to ${proxyRole.user}`)
  const seen = { place, before: { written: await lastWritten(place) } }
  const hold = await approved(place, await ask(place, base))
  for (const [name, change] of Object.entries(mutants)) await refused(seen, hold, name, { ...base, ...change })
  await elsewhere(place, 'evil, public')
  await refused(seen, hold, 'default-schema', base)
  await elsewhere(place, 'public')
  await once(seen, hold)
  await policyHash(seen)
  return Object.keys(mutants).length + 2
}

/** The original runs with nobody asked, and a second time somebody is. */
const once = async (seen: Seen, hold: string): Promise<void> => {
  const first = await ask(seen.place, base)
  await first.client.ready(1, inTheEnd)
  const deleted = async (): Promise<number> => (await written(seen)).filter(({ what }) => what === 'delete').length
  if ((await deleted()) !== 1) fail(`the original ran ${await deleted()} times (${first.hold === hold ? 'with' : 'without'} its approval)`)
  const second = await ask(seen.place, base)
  if (second.hold === undefined || second.hold === hold) fail('the second time nobody was asked')
  if ((await deleted()) !== 1) fail('the approval was good for two runs')
  for (const { client } of [first, second]) client.end()
}

/** Another policy in force at release that asks for more: the approval of before does not do. */
const policyHash = async (seen: Seen): Promise<void> => {
  const { place } = seen
  const asked: Asked = { ...base, sql: 'DELETE FROM t WHERE id = $1 AND a = 2', ...bound({ params: ['2'] }) }
  const hold = await approved(place, await ask(place, asked))
  const before = (await written(seen)).length
  const results = await place.world.reload((profile) => {
    for (const rule of profile.policies.find(({ policy }) => policy === 'pg-main')?.rules ?? []) if (rule.name === 'write') rule['approval'] = { ...(rule['approval'] as object), from: { groups: ['security'] } }
  })
  if (!results.every(({ applied }) => applied)) fail(`the reload was refused: ${results[0]?.problems[0]}`)
  const { client } = await ask(place, asked)
  if ((await written(seen)).length !== before) fail('an approval under another policy was enough for one that asks for more')
  if ((await stateOf(place, hold)) === 'executed') fail('the approval was used')
  client.end()
}
