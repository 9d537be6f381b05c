import { fail } from '../outcome.ts'
import { decide, playOf, sendPlay, settle, type PgExchange, type PgObservation } from './play.ts'
import { errorsIn, statusesIn } from './raw-client.ts'

/* A transaction that is approved as an ordered list. */

const statements = ['BEGIN', 'UPDATE t SET a = 1 WHERE id = 1', 'DELETE FROM t WHERE id = 2', 'COMMIT'] as const

const announcement = `SET countersign.plan = $plan$${statements.join('; ')}$plan$`

/** On the connection that will run it, which waits for the approval. */
export const submitPlan = async (seen: PgObservation): Promise<void> => {
  const exchange = await sendPlay(seen, playOf(seen, { pg: announcement }, 'simple'), { ref: 'plan1', as: 'req-a', conn: 'c1' })
  if ((await settle(seen, exchange)) === undefined) fail('the plan was not held')
}

interface Said {
  readonly error: Readonly<Record<string, string>> | undefined
  readonly status: string | undefined
  readonly exchange: PgExchange
}

const say = async (seen: PgObservation, conn: string, sql: string): Promise<Said> => {
  const exchange = await sendPlay(seen, { ...playOf(seen, { pg: sql }, 'simple'), texts: [] }, { ref: `${conn}: ${sql}`, as: 'req-a', conn })
  for (let hold = await settle(seen, exchange); hold !== undefined; hold = await settle(seen, exchange)) {
    if (!sql.startsWith('SET')) fail(`${sql} was held by itself`)
    const parts = (seen.views.get(exchange.ref)?.action as { readonly parts?: readonly { readonly text: string }[] } | undefined)?.parts
    if (parts?.map(({ text }) => text).join() !== statements.join()) fail(`approvers are shown ${JSON.stringify(parts)}`)
    await decide(seen, hold, 'approve')
  }
  const said = exchange.client.said.slice(exchange.from, exchange.end)
  return { error: errorsIn(said)[0], status: statusesIn(said).at(-1), exchange }
}

const rows = async ({ place }: PgObservation): Promise<string> => JSON.stringify(await place.database.query('select * from t order by id'))

/** Each way to run something else than was approved ends with an error, a failed transaction, and nothing kept. */
export const boundToTheLetter = async (seen: PgObservation): Promise<void> => {
  await say(seen, 'c1', 'ROLLBACK')
  const before = await rows(seen)
  const [begin, update, remove, commit] = statements
  const wrong: Readonly<Record<string, readonly string[]>> = {
    'another order': [begin, remove],
    'another text': [begin, update, 'DELETE FROM t WHERE id = 2 OR id = 3'],
    'another spelling': [begin, update, 'delete from t where id = 2'],
    'one too few': [begin, update, commit],
    'one twice': [begin, update, update],
    'several at once': [begin, `${update}; ${remove}`],
    'an extra read': [begin, update, 'SELECT 1'],
    'a savepoint': [begin, update, 'SAVEPOINT s'],
  }
  for (const [what, sent] of Object.entries(wrong)) {
    await say(seen, what, announcement)
    for (const [at, sql] of sent.entries()) {
      const { error, status } = await say(seen, what, sql)
      const isLast = at === sent.length - 1
      if (isLast ? !['42501'].includes(error?.['C'] ?? '') || status !== 'E' : error !== undefined) fail(`${what}: ${sql} was answered ${JSON.stringify(error)} and ${status}`)
    }
    for (const sql of [remove, commit]) await say(seen, what, sql)
    if ((await rows(seen)) !== before) fail(`${what}: something of it was kept`)
  }
}

/** An extra statement breaks it; to the letter it runs, once. */
export const rolledBack = async (seen: PgObservation): Promise<void> => {
  const before = await rows(seen)
  await say(seen, 'extra', announcement)
  for (const sql of [statements[0], statements[1], 'UPDATE t SET a = 2 WHERE id = 3', statements[2], statements[3]]) await say(seen, 'extra', sql)
  if ((await rows(seen)) !== before) fail('something of a plan was kept, although another statement stood in it')
  await say(seen, 'whole', announcement)
  for (const sql of statements) {
    const { error } = await say(seen, 'whole', sql)
    if (error !== undefined) fail(`${sql} of the approved plan was answered ${JSON.stringify(error)}`)
  }
  if ((await rows(seen)) === before) fail('an approved plan changed nothing')
}
