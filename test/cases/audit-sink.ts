import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { realDisk, type Disk } from '../../src/audit/disk.ts'
import { ndjson } from '../sinks/dialects.ts'
import { startPlace, type Place } from '../sinks/strict-place.ts'
import { until } from '../support/until.ts'
import { isTree, list, type Run, type Tree } from './loader.ts'
import { allSeen, ask as askHttp } from './observation.ts'
import { fail, pending } from './outcome.ts'
import { ask as askPostgres } from './postgres/pg-ask.ts'
import { startPgWorld, type PgWorld } from './postgres/pg-world.ts'
import { errorsIn, heard } from './postgres/raw-client.ts'
import { bearerOf } from './principals.ts'
import { put } from './translate.ts'

/* A replica with a collector behind its journal, which fails in the ways of the case: what becomes of a read, a statement and something that people decide on. */

interface Answers {
  readonly read: string
  readonly select: string
  readonly held: string
  readonly ms: number
}

const statement = 'SELECT 4711'

/** One of each. An answer is its status and code. */
const tryAll = async (place: PgWorld): Promise<Answers> => {
  const { world } = place
  const begin = performance.now()
  const http = async (method: string, target: string, more: string): Promise<string> => {
    const reply = await askHttp(world, 'http', `${method} ${target} HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${bearerOf('req-a', world.directory, world.now())}\r\nConnection: close\r\n${more}`, { method })
    if (typeof reply !== 'object') return reply
    return `${reply.status} ${/"code":"([a-z-]+)"/.exec(reply.body.toString())?.[1] ?? ''}`.trim()
  }
  const sql = async (): Promise<string> => {
    const { client } = await askPostgres(place, { as: 'req-a', user: 'req-a', database: 'app', sql: statement, bound: undefined })
    const [error] = errorsIn(heard(client, 0))
    client.end()
    return error === undefined ? 'ok' : String(error['C'])
  }
  const [read, select] = await Promise.all([http('GET', '/public/x', '\r\n'), sql()])
  const held = await http('POST', '/admin/users', 'Prefer: respond-async\r\nContent-Length: 2\r\n\r\n{}')
  return { read, select, held, ms: performance.now() - begin }
}

const fullDisk = (): { readonly disk: Disk; fill(): void } => {
  let full = false
  const noRoom = (): never => {
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
  }
  return { disk: { ...realDisk, write: (fd, bytes, length) => (full ? noRoom() : realDisk.write(fd, bytes, length)) }, fill: () => void (full = true) }
}

const faults: Readonly<Record<string, (receiver: Place) => PromiseLike<void> | void>> = {
  'audit-sink down': (receiver) => receiver[Symbol.asyncDispose](),
  'audit-sink accepts, never acknowledges': (receiver) => void (receiver.behave = () => 'hang'),
  'audit-sink answers 400 to every record': (receiver) => void (receiver.isBad = () => true),
}

const reached = (place: PgWorld): number => allSeen(place.world).length + place.relay.texts().filter((text) => text.includes(statement)).length

export const runAuditSink = async (run: Run): Promise<void> => {
  const fault = (run.item['fault'] ?? {}) as Tree
  const kind = `${String(fault['target'])} ${String(fault['kind'])}`
  const fails = faults[kind] ?? (kind === 'audit-disk full' ? undefined : pending(`no way yet to make this fault: ${kind}`))
  const required = isTree(run.given['settings']) && isTree(run.given['settings']['audit']) && run.given['settings']['audit']['required'] === true
  const receiver = await startPlace(ndjson)
  const { disk, fill } = fullDisk()
  try {
    await using place = await startPgWorld(run, { disk, change: (profile) => put(profile.config, ['sinks', 'collector'], { kind: 'http', url: receiver.url }) })
    const before = await tryAll(place)
    if (before.read !== '200' || before.select !== 'ok' || before.held !== '202 hold-pending') fail(`without a fault: ${JSON.stringify(before)}`)
    await until('what came before at the collector', () => receiver.kept.some((line) => line.includes('"type":"held"')))
    if (fails === undefined) fill()
    else await fails(receiver)
    const [seen, holds] = [reached(place), place.world.events().filter(({ type }) => type === 'held').length]
    const after = await tryAll(place)
    if (!required) return await unhindered(place, receiver, after, seen, run)
    const code = fails === undefined ? 'journal-unavailable' : 'record-unconfirmed'
    if (after.read !== `503 ${code}` || after.held !== `503 ${code}` || after.select !== '57P03') fail(JSON.stringify(after))
    // Once it is known not to answer, nobody waits for it.
    const again = await tryAll(place)
    if (again.read !== `503 ${code}`) fail(`then ${JSON.stringify(again)}`)
    if (reached(place) !== seen) fail(`upstream saw ${reached(place) - seen} of them`)
    if (place.world.events().filter(({ type }) => type === 'held').length !== holds) fail('people were asked about what could not run')
    for (const sentence of list(run.expect['that'])) (sentences[String(sentence)] ?? pending(`no check yet: ${String(sentence)}`))(after)
  } finally {
    await receiver[Symbol.asyncDispose]()
  }
}

/** Where nothing is required the journal is all the buffer there is: nothing is dropped, so there is nothing to count. */
const unhindered = async (place: PgWorld, receiver: Place, after: Answers, seen: number, run: Run): Promise<void> => {
  const { world } = place
  if (after.read !== '200' || after.select !== 'ok' || !after.held.startsWith('202')) fail(`not required, and ${JSON.stringify(after)}`)
  if (reached(place) !== seen + 2) fail(`upstream saw ${reached(place) - seen} of two`)
  const [collector] = (await world.first().replica.health()).detail['sinks'] as readonly { readonly delivered: number; readonly dead: number }[]
  const lines = world.events().filter(({ type }) => type === 'started')
  if (collector?.dead !== 0 || receiver.kept.filter((line) => line.includes('"type":"started"')).length >= lines.length) fail('records were dropped, or never waited')
  for (const sentence of list(run.expect['that'])) if (!(String(sentence) in sentences)) pending(`no check yet: ${String(sentence)}`)
}

const documented = (name: string): void => void (readFileSync(join(import.meta.dirname, '../../docs/audit.md'), 'utf8').includes(name) || fail(`docs/audit.md does not speak of ${name}`))

const sentences: Readonly<Record<string, (answers: Answers) => void>> = {
  'tested with GET /public/x, a SELECT and a held POST': () => {},
  'refusal begins when the buffer is full or the acknowledgement is late, at a documented limit': ({ ms }) => {
    documented('`within`')
    documented('disk-marks')
    if (ms > 9_000) fail(`took ${Math.round(ms)} ms for two answers with a limit of three seconds each`)
  },
  'the buffer is bounded; what was dropped is counted in a later record': () => documented('records-lost'),
}
