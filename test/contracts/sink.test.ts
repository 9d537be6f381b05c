import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Redis } from 'ioredis'
import type { RecoveredJournal } from '../../src/audit/file-journal.ts'
import { Secret } from '../../src/lib/secret.ts'
import { makeSinks, type Sinks } from '../../src/sinks/sinks.ts'
import type { SinkOptions } from '../../src/sinks/options.ts'
import { finished, open, readAll, temporaryDirectory } from '../audit/audit-samples.ts'
import { startReceiver, type Behaviour } from '../sinks/strict-receiver.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const events = 200
const pace = { lingerMs: 2, firstMs: 5, longestMs: 50, lostEveryMs: 50 }
const warnings: object[] = []
const log = { warn: (fields: object, message: string) => void warnings.push({ ...fields, message }) }

const start = (directory: string, journal: RecoveredJournal, ...options: SinkOptions[]): Sinks => makeSinks(options, { journal, directory, replica: 'r1', log, pace })
const fill = async (journal: RecoveredJournal, count = events): Promise<void> => {
  for (let n = 0; n < count; n++) await journal.append(finished(`a${n}`), n % 7 === 0 || n === count - 1 ? 'written' : 'queued')
}
const idOf = (text: string): string => (JSON.parse(text) as { id: string }).id

/** Every line arrived; first arrivals stand in the order of the journal; a repeat is the very same text. */
const assertComplete = async (journal: RecoveredJournal, arrived: readonly string[], count = events): Promise<void> => {
  const wanted = (await readAll(journal)).map(({ id }) => id).slice(0, count)
  const texts = new Map<string, string>()
  for (const text of arrived) {
    const id = idOf(text)
    assert.equal(texts.get(id) ?? text, text)
    texts.set(id, text)
  }
  assert.deepEqual([...texts.keys()].slice(0, count), wanted)
}

/** A place that a sink delivers to, and how to read what arrived there. */
interface Place extends AsyncDisposable {
  readonly options: SinkOptions
  arrived(): Promise<readonly string[]>
}

const kinds: Readonly<Record<string, (directory: string) => Promise<Place>>> = {
  file: async (directory) => {
    const path = `${directory}/out.ndjson`
    return { options: { kind: 'file', name: 'place', path }, arrived: async () => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []), async [Symbol.asyncDispose]() {} }
  },
  ...Object.fromEntries(
    (['ndjson', 'json-array'] as const).map((format) => [
      `http ${format}`,
      async (): Promise<Place> => {
        const receiver = await startReceiver(format)
        return { options: { kind: 'http', name: 'place', url: receiver.url, batchLines: 17, batchBytes: 8_000, timeoutMs: 2_000, format, gzip: format === 'ndjson' }, arrived: async () => receiver.kept, [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose]() }
      },
    ]),
  ),
  redis: async () => {
    const server = await startRedis()
    const client = new Redis(server.url)
    return {
      options: { kind: 'redis', name: 'place', url: new Secret(server.url), stream: 'audit', maxLength: 10_000 },
      arrived: async () =>
        (await client.xrange('audit', '-', '+')).map(([, [idName, id, eventName, event = '']]) => {
          assert.deepEqual([idName, eventName, id], ['id', 'event', idOf(event)])
          return event
        }),
      async [Symbol.asyncDispose]() {
        client.disconnect()
        await server[Symbol.asyncDispose]()
      },
    }
  },
}

for (const [kind, make] of Object.entries(kinds)) {
  describe(`sink ${kind}`, () => {
    test('every event arrives, in order, and the position is kept over a restart', async () => {
      using directory = temporaryDirectory()
      await using place = await make(directory.path)
      await using journal = await open(directory.path, { segmentBytes: 9_000 })
      {
        await using sinks = start(directory.path, journal, place.options)
        await fill(journal)
        await sinks.drain(10_000)
        assert.equal(sinks.state()[0]!.delivered, events)
        assert.equal(sinks.state()[0]!.behindMs, 0)
      }
      assert.equal((await place.arrived()).length, events)
      await assertComplete(journal, await place.arrived())
      await using sinks = start(directory.path, journal, place.options)
      await journal.append(finished('later'), 'written')
      await sinks.drain(10_000)
      assert.equal((await place.arrived()).length, events + 1)
    })

    test('a crash between delivery and saved position repeats lines with their ids, and loses none', async () => {
      using directory = temporaryDirectory()
      await using place = await make(directory.path)
      await using journal = await open(directory.path)
      const cursors = `${directory.path}/r1/cursors`
      await fill(journal, 100)
      {
        await using sinks = start(directory.path, journal, place.options)
        await sinks.drain(10_000)
      }
      cpSync(cursors, `${directory.path}/kept`, { recursive: true })
      await fill(journal, 100)
      {
        await using sinks = start(directory.path, journal, place.options)
        await sinks.drain(10_000)
      }
      rmSync(cursors, { recursive: true })
      cpSync(`${directory.path}/kept`, cursors, { recursive: true })
      await using sinks = start(directory.path, journal, place.options)
      await sinks.drain(10_000)
      assert.equal((await place.arrived()).length, 300)
      await assertComplete(journal, await place.arrived())
    })
  })
}

describe('sink http, a bad receiver', () => {
  const misbehave: Readonly<Record<string, (request: number) => Behaviour>> = {
    '500s': (n) => (n % 3 === 2 ? 'ok' : '500'),
    'resets in the middle of its answer': (n) => (n % 2 ? 'ok' : 'reset-mid-body'),
    'takes and resets without an answer': (n) => (n % 2 ? 'ok' : 'reset-before-answer'),
    'hangs': (n) => (n === 1 || n === 4 ? 'hang' : 'ok'),
    'takes half and fails': (n) => (n % 2 ? 'ok' : 'partial'),
    'redirects': (n) => (n % 2 ? 'ok' : 'redirect'),
  }
  for (const [name, behave] of Object.entries(misbehave)) {
    test(name, async () => {
      using directory = temporaryDirectory()
      await using receiver = await startReceiver('ndjson')
      receiver.behave = behave
      await using journal = await open(directory.path)
      await using sinks = start(directory.path, journal, { kind: 'http', name: 'place', url: receiver.url, batchLines: 20, batchBytes: 100_000, timeoutMs: 300, format: 'ndjson' })
      await fill(journal)
      await sinks.drain(15_000)
      await assertComplete(journal, receiver.kept)
      assert.ok(receiver.requests.some(({ behaviour }) => behaviour !== 'ok'))
      assert.equal(sinks.state()[0]!.dead, 0)
    })
  }

  test('429: it comes back when told, not before', async () => {
    using directory = temporaryDirectory()
    await using receiver = await startReceiver('ndjson')
    receiver.behave = (n) => (n === 0 ? '429' : 'ok')
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, { kind: 'http', name: 'place', url: receiver.url, batchLines: 500, batchBytes: 1e6, timeoutMs: 500, format: 'ndjson' })
    await fill(journal)
    await sinks.drain(10_000)
    await assertComplete(journal, receiver.kept)
    assert.ok(receiver.requests[1]!.at - receiver.requests[0]!.at >= 950)
  })

  test('a line that is refused for good goes to the dead letters and on record; its neighbours arrive', async () => {
    using directory = temporaryDirectory()
    await using receiver = await startReceiver('ndjson')
    receiver.behave = (_n, lines) => (lines.some((line) => line.includes('"attempt":"a57"')) ? '400' : 'ok')
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, { kind: 'http', name: 'place', url: receiver.url, batchLines: 50, batchBytes: 1e6, timeoutMs: 1_000, format: 'ndjson' })
    await fill(journal)
    const lost = await until('the loss on record', async () => (await readAll(journal)).find(({ type }) => type === 'records-lost'), 10_000)
    assert.deepEqual([lost['sink'], lost['count']], ['place', 1])
    await sinks.drain(10_000)
    const ids = receiver.kept.map(idOf)
    assert.deepEqual(ids.slice(0, events - 1), Array.from({ length: events }, (_, n) => `r1/1/${n}`).filter((id) => id !== 'r1/1/57'))
    const dead = readFileSync(`${directory.path}/r1/place.dead`, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
    assert.deepEqual(dead.map(({ id, cause, event }) => [id, cause, event.attempt]), [['r1/1/57', 'HTTP 400', 'a57']])
    assert.equal(statSync(`${directory.path}/r1/place.dead`).mode & 0o077, 0)
  })

  test('a receiver that refuses everything does not make records about records for ever', async () => {
    using directory = temporaryDirectory()
    await using receiver = await startReceiver('ndjson')
    receiver.behave = () => '400'
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, { kind: 'http', name: 'place', url: receiver.url, batchLines: 50, batchBytes: 1e6, timeoutMs: 1_000, format: 'ndjson' })
    await fill(journal, 5)
    await until('all refused, the news of it too', () => sinks.state()[0]!.dead >= 6, 10_000)
    await sinks.drain(5_000)
    const lost = (await readAll(journal)).filter(({ type }) => type === 'records-lost')
    assert.equal(lost.reduce((sum, { count }) => sum + Number(count), 0), 5)
  })

  test('a dead sink delays nobody, shows how far it is behind, and repeats no secret', async () => {
    using directory = temporaryDirectory()
    await using receiver = await startReceiver('ndjson')
    receiver.behave = () => 'hang'
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, { kind: 'http', name: 'place', url: receiver.url, authorization: new Secret('Bearer CANARY-99'), batchLines: 50, batchBytes: 1e6, timeoutMs: 100, format: 'ndjson' })
    const from = Date.now()
    await fill(journal)
    assert.ok(Date.now() - from < 10_000) // a hanging sink would hold it up for ever
    const state = await until('an error', () => sinks.state().find(({ lastError }) => lastError !== undefined))
    assert.ok(state.behindMs > 0)
    assert.equal(state.delivered, 0)
    assert.doesNotMatch(JSON.stringify([state, warnings]), /CANARY/)
  })
})

describe('sink file', () => {
  test('follows log rotation without a signal and with one, is private, and mends a torn end', async () => {
    using directory = temporaryDirectory()
    const path = `${directory.path}/out.ndjson`
    writeFileSync(path, '{"torn":', { mode: 0o600 })
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, { kind: 'file', name: 'place', path })
    await fill(journal, 10)
    await sinks.drain(5_000)
    renameSync(path, `${path}.1`)
    await fill(journal, 10)
    await sinks.drain(5_000)
    renameSync(path, `${path}.2`)
    sinks.reopen()
    await fill(journal, 10)
    await sinks.drain(5_000)
    const [torn, ...first] = readFileSync(`${path}.1`, 'utf8').split('\n').slice(0, -1)
    assert.equal(torn, '{"torn":')
    assert.deepEqual([first, ...[`${path}.2`, path].map((file) => readFileSync(file, 'utf8').split('\n').slice(0, -1))].map((lines) => lines.length), [10, 10, 10])
    assert.equal(statSync(path).mode & 0o077, 0)
  })
})

test('sink stdout: whole lines on standard output, also into a slow pipe', async () => {
  using directory = temporaryDirectory()
  {
    await using journal = await open(directory.path)
    await fill(journal)
  }
  const child = spawn(process.execPath, [`${import.meta.dirname}/../sinks/stdout-program.ts`, directory.path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    child.stdout.pause()
    setImmediate(() => child.stdout.resume())
  })
  await new Promise((resolve) => child.once('close', resolve))
  assert.deepEqual(text.split('\n').slice(0, -1).map(idOf), Array.from({ length: events }, (_, n) => `r1/1/${n}`))
})

test('two sinks of one name, and names that are paths, are refused', async () => {
  using directory = temporaryDirectory()
  await using journal = await open(directory.path)
  const file = (name: string): SinkOptions => ({ kind: 'file', name, path: `${directory.path}/x` })
  assert.throws(() => start(directory.path, journal, file('a'), file('a')), /one name/)
  for (const name of ['../a', '', 'a/b']) assert.throws(() => start(directory.path, journal, file(name)), /sink name/)
})
