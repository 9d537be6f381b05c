import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { read } from './reading.ts'
import { draws, seedOf } from '../draws.ts'
import { isTree, type Case, type Run } from '../loader.ts'
import { message } from './messages.ts'
import { checkPg } from './pg-expect.ts'
import { startPgWorld } from './pg-world.ts'
import { observePg, openSession, written } from './play.ts'
import { errorsIn, logIn, connectRaw } from './raw-client.ts'

/* The product's reading against the server's, over many small changes of every statement in the cases. Nobody approves anything here: what is not a read is denied. */

const seeds = (): readonly string[] => {
  const found: string[] = []
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(walk)
    else if (isTree(value)) {
      for (const [key, inner] of Object.entries(value)) {
        if (typeof inner === 'string' && ['pg', 'sql', 'Query'].includes(key)) found.push(inner)
        else walk(inner)
      }
    }
  }
  for (const name of ['postgres-sql.yaml', 'postgres-wire.yaml']) walk(parse(readFileSync(join(import.meta.dirname, '..', name), 'utf8'), { version: '1.2' }))
  return found.filter((text) => !text.includes('{{'))
}

type Draw = () => number

const pick = <T>(draw: Draw, all: readonly T[]): T => all[Math.floor(draw() * all.length)] as T

const spaces = (text: string): readonly number[] => [...text.matchAll(/ /g)].map(({ index }) => index)

const put = (text: string, where: number, what: string): string => text.slice(0, where) + what + text.slice(where + 1)

const changes: readonly ((text: string, draw: Draw) => string)[] = [
  (text, draw) => (spaces(text).length === 0 ? text : put(text, pick(draw, spaces(text)), pick(draw, ['/**/', ' /* /* x */ */ ', ' -- x\n', '/*;*/']))),
  (text) => text.toUpperCase(),
  (text) => text.toLowerCase(),
  (text, draw) => (spaces(text).length === 0 ? text : put(text, pick(draw, spaces(text)), pick(draw, ['\t', '\n', '\f', '  ', '\r\n', '\v']))),
  (text) => text.replace(/'(\w)(\w*)'/, "'$1'\n'$2'"),
  (text) => `WITH q AS (${text.replace(/;\s*$/, '')}) SELECT * FROM q`,
  (text) => `EXPLAIN ${text}`,
  (text) => `EXPLAIN (ANALYZE) ${text}`,
  (text, draw) => `${text}; ${pick(draw, ['SELECT 1', 'DELETE FROM t', 'SELECT * FROM users'])}`,
  (text, draw) => `${pick(draw, ['SELECT 1', 'DELETE FROM t'])}; ${text}`,
  (text) => text.replace(/\b(t|users|keys|id|v)\b/, '"$1"'),
  (text) => text.replace(/\bt\b/, 'U&"\\0074"'),
  (text) => text.replace(/\busers\b/, 'U&"u\\0073ers"'),
]

export const fuzz = async (theCase: Case, run: Run): Promise<void> => {
  const readsOnly: Run = { ...run, given: { ...run.given, settings: { 'pg-main': { reads_only: true } } } }
  await using place = await startPgWorld(readsOnly)
  const seen = await observePg(theCase, run, place)
  const seed = seedOf()
  const draw = draws(seed)
  const all = seeds()
  const [wrote, miscounted, refused]: [string[], string[], string[]] = [[], [], []]
  const runs = Number(process.env['CASES_FUZZ'] ?? 600)
  let client = await openSession(seen, 'req-a')
  const { server, name } = place.database
  const direct = await connectRaw(`${server.socket}/.s.PGSQL.${server.port}`)
  await logIn(direct, { user: 'postgres', database: name, token: undefined })
  let before = (await written(seen)).length
  for (let number = 0; number < runs; number++) {
    let text = pick(draw, all)
    for (let times = Math.floor(draw() * 3); times >= 0; times--) text = pick(draw, changes)(text, draw)
    // Each in a transaction that is rolled back: what a setting or a lock leaves behind would change the next one.
    const from = client.said.length
    client.write(message({ Query: text }))
    const answered = await client.until(() => client.said.slice(from).some(({ type }) => type === 'Z'), 10_000)
    const said = client.said.slice(from)
    const isRefused = errorsIn(said).some(({ C = '' }) => ['42501', '42601', '08P01', '54000', '54001', '0A000'].includes(C)) || !answered
    const after = (await written(seen)).length
    if (after !== before) wrote.push(text)
    before = after
    const ran = said.filter(({ type }) => type === 'C').length
    if (!isRefused && ran > (await read(text)).statements.length) miscounted.push(text)
    if (isRefused && refused.length < 50 && (await isRead(direct, text))) refused.push(text)
    if (!answered || client.closed || statusOf(said) !== 'I') {
      client.end()
      client = await openSession(seen, 'req-a')
    }
  }
  client.end()
  direct.end()
  const named = (texts: readonly string[]): readonly string[] => texts.map((text) => `${text} (seed ${seed})`)
  seen.found.set('reads that wrote', named(wrote)).set('miscounted', named(miscounted)).set('refused reads', refused)
  if (process.env['CASES_LOG'] !== undefined) for (const text of refused) console.error(`refused, and the server reads only: ${text}`)
  await checkPg(seen)
}

const statusOf = (said: readonly { readonly type: string; readonly body: Buffer }[]): string => String.fromCharCode(said.findLast(({ type }) => type === 'Z')?.body[0] ?? 0)

/** Whether the server itself runs it where nothing can be written. Never anything that sleeps or reaches beyond the database. */
const isRead = async (direct: Awaited<ReturnType<typeof connectRaw>>, text: string): Promise<boolean> => {
  if (/sleep|program|dblink|lo_|pg_read|pg_ls|pg_stat_file|set_config|copy|transaction|begin|commit|end|rollback|role|authorization/i.test(text)) return false
  const from = direct.said.length
  const ask = async (sql: string): Promise<boolean> => {
    const at = direct.said.length
    direct.write(message({ Query: sql }))
    await direct.until(() => direct.said.slice(at).some(({ type }) => type === 'Z'), 5_000)
    return errorsIn(direct.said.slice(at)).length === 0
  }
  await ask('BEGIN READ ONLY; SET LOCAL statement_timeout = 500')
  const good = await ask(text)
  await ask('ROLLBACK')
  return good && direct.said.length > from
}
