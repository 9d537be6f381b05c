import { until } from '../../support/until.ts'
import { draws, seedOf } from '../draws.ts'
import { viewOf, vote, statusText } from '../observation.ts'
import { fail } from '../outcome.ts'
import { ask, type Asked } from './pg-ask.ts'
import type { PgWorld } from './pg-world.ts'

/* Equal views over PostgreSQL: the text that was sent, judged, shown, bound and run is one, to the byte. */

const texts: readonly string[] = ['DELETE FROM t WHERE id = 91', "INSERT INTO log VALUES ('it''s')", "UPDATE t SET a = 1 WHERE id = 92 AND 'x' <> U&'\\0041'", 'SELECT * FROM t WHERE id = 93 FOR UPDATE', "INSERT INTO log VALUES (E'a\\tb'), ($q$c$q$)"]

const oddities: readonly string[] = [' ', '\t', '\n', '\r\n', '/* x */', '/* /* ; */ */', '-- x\n', ';', '\u00a0', '\u200b', '\u202e', '\u00e9', '\u{1f600}', '\\', '\\u{41}', "'", '"', '\u0001', '0', 'E']

const mutated = (draw: () => number): string => {
  let text = texts[Math.floor(draw() * texts.length)] ?? ''
  for (let times = Math.floor(draw() * 3); times > 0; times--) {
    const at = Math.floor(draw() * (text.length + 1))
    // Where there is a blank already, most of them leave a statement that runs.
    const blank = text.indexOf(' ', at)
    const where = draw() < 0.7 && blank >= 0 ? blank : at
    text = text.slice(0, where) + (oddities[Math.floor(draw() * oddities.length)] ?? '') + text.slice(where)
  }
  return text
}

/** What a text says in which backslashes are doubled and what cannot be seen is spelled out. */
const spelled = (shown: string): string => shown.replace(/\\\\|\\u\{([0-9a-f]+)\}/g, (_whole, code: string | undefined) => (code === undefined ? '\\' : String.fromCodePoint(Number.parseInt(code, 16))))

/** One statement, approved and run. Whether it was held at all. */
const compare = async (place: PgWorld, asked: Asked): Promise<boolean> => {
  const { world, relay } = place
  const [reached, events] = [relay.texts().length, world.events().length]
  const { client, hold } = await ask(place, asked)
  const { sql } = asked
  const say = JSON.stringify(sql)
  if (relay.texts().slice(reached).includes(sql)) fail(`${say}: the server was sent it before anybody was asked`)
  if (hold === undefined) {
    client.end()
    return false
  }
  const view = await viewOf(world, hold)
  const held = world.events().slice(events).find((event) => event.type === 'held' && event.hold === hold)
  if (view === undefined || held?.type !== 'held') return fail(`${say}: the hold cannot be seen`)
  if (spelled(view.action.text) !== sql) fail(`${say}: the approver is shown ${JSON.stringify(view.action.text)}`)
  if (view.action.digest !== held.digest || held.digest !== held.action.digest) fail(`${say}: shown and bound under two digests`)
  // Two rules may hold it, each for a person of its own.
  for (const by of ['appr-a', 'appr-b']) {
    const said = await vote(world, by, hold, 'approve', { digest: view.action.digest })
    if (by === 'appr-a' && statusText(said) !== '200') fail(`${say}: the approval was answered ${statusText(said)}`)
  }
  await until(`the end of ${say}`, () => client.closed || client.said.slice(client.began).some(({ type }) => type === 'Z'))
  client.end()
  const started = world.events().slice(events).filter((event) => event.type === 'started' && event.hold === hold)
  const ran = relay.ran().filter((one) => one.sql === sql)
  if (started.length !== 1 || started[0]?.type !== 'started' || started[0].action.digest !== held.digest) fail(`${say}: run under another digest`)
  if (ran.length === 0) fail(`${say}: approved, and other bytes ran: ${JSON.stringify(relay.texts().slice(reached))}`)
  return true
}

/** How many were held and compared. */
export const pgViews = async (place: PgWorld): Promise<number> => {
  const seed = seedOf()
  const draw = draws(seed)
  let held = 0
  for (let left = 120; left > 0 && held < 24; left--) {
    const sql = mutated(draw)
    const found = await compare(place, { as: 'req-a', user: 'req-a', database: 'app', sql, bound: draw() < 0.3 ? { params: [], types: [], formats: [] } : undefined }).catch((error: unknown) => fail(`${error instanceof Error ? error.message : String(error)} (seed ${seed})`))
    if (found) held++
  }
  if (held < 12) fail(`only ${held} held statements were looked at (seed ${seed})`)
  return held
}
