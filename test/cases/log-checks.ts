import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeProgramLog } from '../../src/cli/program-log.ts'
import { eventText } from '../../src/audit/event-text.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { open, readAll, samples, temporaryDirectory } from '../audit/audit-samples.ts'
import { makeShell } from '../cli/shell.ts'
import { list, type Run } from './loader.ts'
import { ask } from './observation.ts'
import { fail } from './outcome.ts'
import type { Recorded, World } from './world.ts'

/* What is true of logs, whichever protocol was spoken. */

const demand = (holds: boolean, why: string): void => void (holds || fail(why))

const filesUnder = (folder: string): readonly string[] => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))

const journals = (world: World): readonly string[] => [...world.replicas.keys()].map((name) => join(world.folder, name, 'journal'))

const lines = (world: World): readonly string[] => journals(world).flatMap((folder) => filesUnder(folder).filter((file) => file.endsWith('.ndjson'))).flatMap((file) => readFileSync(file, 'latin1').split('\n').slice(0, -1))

export const oneLineEach = (world: World, since: readonly Recorded[]): void => {
  demand(since.length > 0, 'nothing is on record')
  const read = lines(world).map((line) => {
    demand(/^[\x20-\x7e]+$/.test(line), `a line is not printable: ${JSON.stringify(line.slice(0, 200))}`)
    return JSON.parse(line) as { readonly id: string; readonly type: string }
  })
  for (const { id, type } of since) demand(read.filter((one) => one.id === id && one.type === type).length === 1, `${id} is not one line`)
  demand(since.every(({ type }) => type !== 'voted'), 'a vote that nobody gave is on record')
}

/** Text of a stranger that the item brings along. */
const hostile = ({ item }: Run): string => {
  const { http, pg, jwt } = item as { readonly http?: { readonly headers?: unknown }; readonly pg?: unknown; readonly jwt?: { readonly claims?: { readonly name?: unknown } } }
  if (typeof pg === 'string') return pg
  if (jwt !== undefined) return String(jwt.claims?.name)
  return String((list(list(http?.headers)[0]) as readonly unknown[])[1])
}

/**
 * Names with such characters are refused or left out at the door, so no request brings them into the log of a replica. The log does not rely on that:
 * a record of every type with the text in each of its members is one line, and says the same when it is read.
 */
const hostileLog = async (value: string): Promise<{ readonly path: string } & Disposable> => {
  const directory = temporaryDirectory()
  await using journal = await open(directory.path)
  const filled = samples.filter(({ type }) => type !== 'checkpoint').map((sample) => withTexts(sample, value))
  await Promise.all(filled.map((event) => journal.append(event, 'written')))
  const read = await readAll(journal, 1 << 24)
  demand(read.length === filled.length, `${filled.length} events are ${read.length} lines`)
  const names = read.flatMap((record) => (record.type === 'started' ? [record['action'], record['caller']] : [])) as { readonly shape?: string; readonly subject?: string; readonly resources?: readonly { readonly name: string }[] }[]
  demand(names.length > 0 && names.every(({ shape, subject, resources }) => (shape ?? subject) === value && (resources ?? []).every(({ name }) => name === value)), 'what is read is not what was written')
  return directory
}

/** Words of ours stay as they are: which kind of thing it is, and how it ended. */
const ours: ReadonlySet<string> = new Set(['type', 'result', 'protocol', 'kind', 'verdict'])

const withTexts = <T>(value: T, text: string, key = ''): T => {
  if (typeof value === 'string') return (ours.has(key) ? value : text) as T
  if (Array.isArray(value)) return value.map((one: unknown) => withTexts(one, text, key)) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withTexts(member, text, name)])) as T
}

export const decodesToWhatWasGiven = async (run: Run): Promise<void> => {
  using _log = await hostileLog(hostile(run))
}

const moves = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** What people and other programs read of the log: of the replica, and of one that is full of the text. */
export const escapedForPeople = async (world: World, run: Run): Promise<void> => {
  await using shell = await makeShell()
  using log = await hostileLog(hostile(run))
  for (const directory of [...journals(world), log.path])
    for (const argv of [['audit', 'tail', '-n', '1000'], ['audit', 'tail', '-n', '1000', '-o', 'json'], ['audit', 'search', '--index', join(shell.home, `search-${directory === log.path}.db`)], ['audit', 'export'], ['audit', 'export', '--format', 'ocsf']]) {
      const { code, out } = await shell.run([...argv, '-d', directory])
      demand(code === 0 && out !== '', `${argv.join(' ')} ends with ${code}`)
      for (const line of out.split('\n')) demand(!moves.test(line), `audit ${argv[1]} prints ${JSON.stringify(line.slice(0, 200))}`)
    }
}

const secret = /S3CRET/i

/** Everything that a replica tells anybody but the upstream: its journal and index, its own log, its health, and what clients of a refusal read. */
export const noSecretAnywhere = async (world: World, answers: readonly Buffer[]): Promise<void> => {
  demand(world.log.length > 0, 'the log says nothing at its lowest level')
  for (const file of journals(world).flatMap(filesUnder)) demand(!secret.test(readFileSync(file, 'latin1')), `a secret stands in ${file}`)
  for (const line of world.log) demand(!secret.test(JSON.stringify(line)), `a secret stands in the log: ${JSON.stringify(line).slice(0, 300)}`)
  for (const place of ['/readyz', '/healthz', '/metrics']) {
    const reply = await ask(world, 'admin', `GET ${place} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)
    demand(typeof reply !== 'object' || !secret.test(reply.body.toString()), `a secret stands in ${place}`)
  }
  for (const answer of answers) demand(!secret.test(answer.toString('latin1')), 'a secret stands in an answer')
}

/** What no schema names is not written, wherever it happens to be. */
export const redactsBySchema = (): void => {
  const written: string[] = []
  makeProgramLog('debug', {}, (line) => void written.push(line)).error({ unheardOf: 'S3CRET-9', nested: { unheardOf: 'S3CRET-9' } }, 'a line')
  demand(written.length === 1 && !secret.test(written[0] ?? 'S3CRET'), 'the log shows a field that nobody knows')
  const event = { type: 'finished', attempt: 'a', unheardOf: 'S3CRET-9', outcome: { result: 'executed', ms: 1, unheardOf: 'S3CRET-9' } } as unknown as AuditEvent
  demand(!secret.test(eventText(event)), 'a record shows a member that nobody knows')
}
