import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync, statSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { RecoveredJournal } from '../../src/audit/file-journal.ts'
import type { SinkOptions } from '../../src/sinks/options.ts'
import { makeSinks, type Sinks } from '../../src/sinks/sinks.ts'
import { finished, open, readAll, temporaryDirectory } from '../audit/audit-samples.ts'
import { type Behaviour, type Dialect, idOf, type Place, startPlace } from '../sinks/strict-place.ts'
import { until } from '../support/until.ts'

export const events = 200
export const pace = { lingerMs: 2, firstMs: 5, longestMs: 50, lostEveryMs: 50 }
export const warnings: object[] = []
export const log = { warn: (fields: object, message: string) => void warnings.push({ ...fields, message }) }

export const start = (directory: string, journal: RecoveredJournal, ...options: SinkOptions[]): Sinks => makeSinks(options, { journal, directory, replica: 'r1', log, pace })

export const fill = async (journal: RecoveredJournal, count = events): Promise<void> => {
  for (let n = 0; n < count; n++) await journal.append(finished(`a${n}`), n % 7 === 0 || n === count - 1 ? 'written' : 'queued')
}

/** Every line arrived; first arrivals stand in the order of the journal; a repeat is the very same text. */
export const assertComplete = async (journal: RecoveredJournal, arrived: readonly string[], count = events): Promise<void> => {
  const wanted = (await readAll(journal)).map(({ id }) => id).slice(0, count)
  const texts = new Map<string, string>()
  for (const text of arrived) {
    const id = idOf(text)
    assert.equal(texts.get(id) ?? text, text)
    texts.set(id, text)
  }
  assert.deepEqual([...texts.keys()].slice(0, count), wanted)
}

/** Where a sink delivers to, and how to read what arrived there. */
export interface Destination extends AsyncDisposable {
  readonly options: SinkOptions
  arrived(): Promise<readonly string[]>
  /** It keeps what it has once, so repeats do not show. */
  readonly keepsOnce?: boolean
}

/** What every sink does, with a destination of its kind. */
export const sinkContract = (kind: string, make: (directory: string) => Promise<Destination>): void => {
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
      await until('all to be there', async () => (await place.arrived()).length >= events)
      assert.equal((await place.arrived()).length, events)
      await assertComplete(journal, await place.arrived())
      await using sinks = start(directory.path, journal, place.options)
      await journal.append(finished('later'), 'written')
      await sinks.drain(10_000)
      await until('the last to be there', async () => (await place.arrived()).length > events)
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
      const wanted = place.keepsOnce === true ? 200 : 300
      await until('all to be there', async () => (await place.arrived()).length >= wanted)
      assert.equal((await place.arrived()).length, wanted)
      await assertComplete(journal, await place.arrived())
    })
  })
}

export interface WebKind {
  readonly dialect: () => Dialect
  readonly path?: string
  /** With batches of at most so many lines, each answered within so long. */
  readonly options: (url: string, batchLines: number, timeoutMs: number) => SinkOptions
  /** What the dead letter says of a line that the place never takes; `undefined`: it has no way to say so. */
  readonly refusal?: RegExp
}

const manners: Readonly<Record<string, (delivery: number) => Behaviour>> = {
  '500s': (n) => (n % 3 === 2 ? 'ok' : '500'),
  'resets in the middle of its answer': (n) => (n % 2 ? 'ok' : 'reset-mid-body'),
  'takes and resets without an answer': (n) => (n % 2 ? 'ok' : 'reset-before-answer'),
  'hangs': (n) => (n === 1 || n === 4 ? 'hang' : 'ok'),
  'takes half and fails': (n) => (n % 2 ? 'ok' : 'partial'),
  'redirects': (n) => (n % 2 ? 'ok' : 'redirect'),
  'does not know us for a while': (n) => (n < 5 ? '401' : 'ok'),
}

/** What every sink that speaks HTTP does, also with a place that behaves badly. */
export const webSinkContract = (kind: string, { dialect, path, options, refusal }: WebKind): void => {
  const startIt = (): Promise<Place> => startPlace(dialect(), path)

  sinkContract(kind, async () => {
    const place = await startIt()
    return { options: options(place.url, 17, 2_000), arrived: async () => place.kept, keepsOnce: dialect().keepsOnce === true, [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() }
  })

  describe(`sink ${kind}, a bad receiver`, { concurrency: 3 }, () => {
    for (const [name, behave] of Object.entries(manners)) {
      test(name, async () => {
        using directory = temporaryDirectory()
        await using place = await startIt()
        place.behave = behave
        await using journal = await open(directory.path)
        await using sinks = start(directory.path, journal, options(place.url, 20, 300))
        await fill(journal)
        await sinks.drain(15_000)
        await assertComplete(journal, place.kept)
        assert.ok(place.requests.some(({ behaviour }) => behaviour !== 'ok'))
        assert.equal(sinks.state()[0]!.dead, 0)
      })
    }

    test('429: it comes back when told, not before', async () => {
      using directory = temporaryDirectory()
      await using place = await startIt()
      place.behave = (n) => (n === 0 ? '429' : 'ok')
      await using journal = await open(directory.path)
      await using sinks = start(directory.path, journal, options(place.url, 500, 2_000))
      await fill(journal)
      await sinks.drain(10_000)
      await assertComplete(journal, place.kept)
      assert.ok(place.requests[1]!.at - place.requests[0]!.at >= 950)
    })

    if (refusal === undefined) return
    test('a line that is refused for good goes to the dead letters and on record; its neighbours arrive', async () => {
      using directory = temporaryDirectory()
      await using place = await startIt()
      place.isBad = (text) => text.includes('"attempt":"a57"')
      await using journal = await open(directory.path)
      await using sinks = start(directory.path, journal, options(place.url, 50, 2_000))
      await fill(journal)
      const lost = await until('the loss on record', async () => (await readAll(journal)).find(({ type }) => type === 'records-lost'), 10_000)
      assert.deepEqual([lost['sink'], lost['count']], ['place', 1])
      await sinks.drain(10_000)
      const ids = [...new Set(place.kept.map(idOf))]
      assert.deepEqual(ids.slice(0, events - 1).toSorted(bySeq), Array.from({ length: events }, (_, n) => `r1/1/${n}`).filter((id) => id !== 'r1/1/57'))
      const dead = readFileSync(`${directory.path}/r1/place.dead`, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { id: string; cause: string; event: { attempt: string } })
      assert.deepEqual(dead.map(({ id, event }) => [id, event.attempt]), [['r1/1/57', 'a57']])
      assert.match(dead[0]!.cause, refusal)
      assert.equal(statSync(`${directory.path}/r1/place.dead`).mode & 0o077, 0)
    })
  })
}

const bySeq = (a: string, b: string): number => Number(a.split('/')[2]) - Number(b.split('/')[2])
