import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { makeArrivals } from '../../src/sinks/arrivals.ts'
import { makeSinks } from '../../src/sinks/sinks.ts'
import { finished, open, temporaryDirectory } from '../audit/audit-samples.ts'
import { log, pace, start } from '../contracts/sink-contract.ts'
import { until } from '../support/until.ts'
import { ndjson } from './dialects.ts'
import { idOf, startPlace, type Behaviour } from './strict-place.ts'

describe('who waits until a record has arrived', () => {
  const receive = async (directory: string, behave: Behaviour, timeoutMs = 300, isBad: (text: string) => boolean = () => false) => {
    const receiver = await startPlace(ndjson)
    receiver.behave = () => behave
    receiver.isBad = isBad
    const journal = await open(directory)
    const sinks = start(directory, journal, { kind: 'http', name: 'place', url: receiver.url, batchLines: 50, batchBytes: 1e6, timeoutMs, body: 'ndjson' }, { kind: 'file', name: 'other', path: `${directory}/other` })
    const write = async (attempt: string): Promise<string> => {
      await journal.append(finished(attempt), 'written')
      return journal.last()
    }
    return { receiver, journal, sinks, write, async [Symbol.asyncDispose]() { await sinks[Symbol.asyncDispose](); await journal[Symbol.asyncDispose](); await receiver[Symbol.asyncDispose]() } }
  }
  const soon = (ms = 5_000): AbortSignal => AbortSignal.timeout(ms)

  test('hears so when it has, of the sinks that were named, and not before', async () => {
    using directory = temporaryDirectory()
    await using place = await receive(directory.path, 'ok')
    const id = await place.write('a')
    await place.sinks.arrived(id, ['place'], 5_000, soon())
    assert.ok(place.receiver.kept.some((line) => idOf(line) === id))
    await place.sinks.arrived(id, [], 5_000, soon())
    assert.match(readFileSync(`${directory.path}/other`, 'utf8'), new RegExp(`"id":"${id}"`))
    place.receiver.behave = () => 'hang'
    const next = await place.write('b')
    await place.sinks.arrived(next, ['other'], 5_000, soon())
    await assert.rejects(place.sinks.arrived(next, [], 60_000, soon(50)), /not arrived in time/)
  })

  test('is not held back where lines gather for company', async () => {
    using directory = temporaryDirectory()
    await using receiver = await startPlace(ndjson)
    await using journal = await open(directory.path)
    await using sinks = makeSinks([{ kind: 'http', name: 'place', url: receiver.url, batchLines: 50, batchBytes: 1e6, timeoutMs: 300, body: 'ndjson' }], { journal, directory: directory.path, replica: 'r1', log, pace: { ...pace, lingerMs: 3_600_000 } })
    for (const attempt of ['a', 'b', 'c']) {
      await journal.append(finished(attempt), 'written')
      await sinks.arrived(journal.last(), [], 5_000, soon())
    }
    assert.equal(receiver.kept.length, 3)
  })

  test('is told no for what was refused for good, also when the question comes late', async () => {
    using directory = temporaryDirectory()
    await using place = await receive(directory.path, 'ok', 300, () => true)
    const id = await place.write('a')
    await assert.rejects(place.sinks.arrived(id, ['place'], 60_000, soon()), /refused for good/)
    await assert.rejects(place.sinks.arrived(id, ['place'], 60_000, soon()), /refused for good/)
    place.receiver.isBad = () => false
    const next = await place.write('b')
    await place.sinks.arrived(next, ['place'], 60_000, soon())
    await assert.rejects(place.sinks.arrived(id, ['place'], 60_000, soon()), /refused for good/)
  })

  test('is told no for that one alone: those beside it are there, and the place takes records', async () => {
    using directory = temporaryDirectory()
    await using place = await receive(directory.path, 'ok', 300, (text) => text.includes('poison'))
    const good = await place.write('good')
    const bad = await place.write('poison')
    await assert.rejects(place.sinks.arrived(bad, ['place'], 60_000, soon()), /refused for good/)
    // That it was tried for a while is no reason to say that the place takes nothing.
    await place.sinks.arrived(good, ['place'], 0, soon())
    assert.ok(place.receiver.kept.some((line) => idOf(line) === good))
    const later = await place.write('later')
    await place.sinks.arrived(later, ['place'], 60_000, soon())
    for (const id of [good, later]) await place.sinks.arrived(id, ['place'], 60_000, soon())
    await assert.rejects(place.sinks.arrived(bad, ['place'], 60_000, soon()), /refused for good/)
  })

  test('is not told that a record is safe because one behind it was refused, and hears no for what may have been refused long ago', async () => {
    const arrivals = makeArrivals()
    const id = (seq: number): string => `r1/1/${seq}`
    const no = /refused for good/
    arrivals.refused(id(1))
    const { signal } = new AbortController()
    const before = arrivals.of(id(0), signal)
    await assert.rejects(arrivals.of(id(1), signal), no)
    arrivals.refused(id(2))
    assert.equal(arrivals.waiting(), 1)
    arrivals.reached(id(3))
    await before
    for (let seq = 10; seq < 2_010; seq += 2) arrivals.refused(id(seq))
    arrivals.reached(id(3_000))
    await assert.rejects(arrivals.of(id(0), signal), no, 'which of the first were refused is not kept')
    await assert.rejects(arrivals.of(id(2), signal), no)
    await arrivals.of(id(3), signal)
    await arrivals.of(id(11), signal)
    await assert.rejects(arrivals.of(id(2_008), signal), no)
    await arrivals.of(id(2_009), signal)
  })

  test('what has arrived stays so, whatever is said later', async () => {
    const arrivals = makeArrivals()
    const { signal } = new AbortController()
    arrivals.reached('r1/2/7')
    arrivals.reached('r1/2/3')
    arrivals.reached('r1/1/900')
    arrivals.reached('nothing')
    await arrivals.of('r1/2/7', signal)
    assert.equal(arrivals.waiting(), 0)
  })

  test('does not wait for a place that has taken nothing for long', async () => {
    using directory = temporaryDirectory()
    await using place = await receive(directory.path, '500')
    const id = await place.write('a')
    await until('the failure to be old', async () => place.sinks.arrived(id, ['place'], 20, soon(5)).then(() => false, (error: unknown) => /takes no records: HTTP 500/.test(String(error))))
    place.receiver.behave = () => 'ok'
    await place.sinks.arrived(id, ['place'], 60_000, soon())
    await place.sinks.arrived(id, ['place'], 20, soon())
  })
})
