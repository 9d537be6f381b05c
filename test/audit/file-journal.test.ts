import assert from 'node:assert/strict'
import { appendFileSync, existsSync, readdirSync, readFileSync, readlinkSync, statSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { realDisk, type Disk } from '../../src/audit/disk.ts'
import { openJournal } from '../../src/audit/file-journal.ts'
import { emptyHash, leafHash } from '../../src/lib/leaf-hash.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { until } from '../support/until.ts'
import { finished, open, options, readAll, started, temporaryDirectory } from './audit-samples.ts'

const unavailable = (error: unknown): boolean => error instanceof Refusal && error.code === 'journal-unavailable'
const segments = (directory: string): string[] => readdirSync(`${directory}/r1/wal`).sort().map((name) => `${directory}/r1/wal/${name}`)
const linesOf = (path: string): string[] => readFileSync(path, 'latin1').split('\n').slice(0, -1)

describe('journal', () => {
  test('keeps the order, counts from zero, and chains every line to the one before, across segments and starts', async () => {
    using directory = temporaryDirectory()
    {
      await using journal = await open(directory.path, { segmentBytes: 20_000 })
      await Promise.all(Array.from({ length: 100 }, (_, n) => journal.append(started(`a${n}`), n % 2 ? 'written' : 'synced')))
      await Promise.all(Array.from({ length: 100 }, (_, n) => journal.append(finished(`a${n}`), 'synced')))
    }
    await using journal = await open(directory.path, { segmentBytes: 20_000 })
    await journal.append(started('b'), 'written')
    assert.ok(segments(directory.path).length > 2)
    const lines = segments(directory.path).flatMap(linesOf)
    let prev = emptyHash
    for (const line of lines) {
      assert.equal(JSON.parse(line).prev, prev)
      prev = leafHash(line)
    }
    const all = await readAll(journal)
    assert.deepEqual(all.map(({ id }) => id), [...Array.from({ length: 200 }, (_, n) => `r1/1/${n}`), 'r1/2/0'])
    assert.deepEqual(all.slice(0, 100).map(({ attempt }) => attempt), Array.from({ length: 100 }, (_, n) => `a${n}`))
    assert.equal(new Set(all.map(({ id }) => id)).size, 201)
  })

  test('a turn of the event loop is one write, and one sync serves all who wait', async () => {
    using directory = temporaryDirectory()
    let writes = 0
    let syncs = 0
    const disk: Disk = { ...realDisk, write: (...args) => (writes++, realDisk.write(...args)), sync: (...args) => (syncs++, realDisk.sync(...args)) }
    await using journal = await open(directory.path, {}, disk)
    writes = syncs = 0
    await Promise.all(Array.from({ length: 64 }, (_, n) => journal.append(started(`a${n}`), 'synced')))
    assert.equal(writes, 1)
    assert.equal(syncs, 1)
  })

  test('synced resolves only after the sync that began behind its write', async () => {
    using directory = temporaryDirectory()
    const pending: (() => void)[] = []
    const disk: Disk = { ...realDisk, sync: (fd, done) => void pending.push(() => realDisk.sync(fd, done)) }
    await using journal = await open(directory.path, {}, disk)
    const order: string[] = []
    const first = journal.append(started('first'), 'synced').then(() => order.push('first'))
    await until('the first sync', () => pending.length === 1)
    const second = journal.append(started('second'), 'synced').then(() => order.push('second'))
    await journal.append(started('third'), 'written')
    assert.deepEqual(order, [])
    pending.shift()!()
    await first
    assert.deepEqual(order, ['first'])
    await until('the second sync', () => pending.length === 1)
    pending.shift()!()
    await second
    const closing = journal[Symbol.asyncDispose]()
    const drain = setInterval(() => pending.shift()?.(), 5)
    await closing
    clearInterval(drain)
  })

  test('what nobody waits for reaches the disk by itself', async () => {
    using directory = temporaryDirectory()
    let syncs = 0
    const disk: Disk = { ...realDisk, sync: (...args) => (syncs++, realDisk.sync(...args)) }
    await using journal = await open(directory.path, {}, disk)
    await journal.append(started('a'), 'queued')
    await until('a sync', () => syncs > 0)
    assert.equal((await readAll(journal)).length, 1)
  })

  test('a second writer is turned away, in this process too; a dead one is succeeded', async () => {
    using directory = temporaryDirectory()
    {
      await using _journal = await open(directory.path)
      await assert.rejects(() => open(directory.path), /writes here already/)
    }
    assert.equal(existsSync(`${directory.path}/r1/lock`), false)
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const dead = { token: 't', pid: process.pid, boot, started: '1', namespace: readlinkSync('/proc/self/ns/pid') }
    writeFileSync(`${directory.path}/r1/lock`, JSON.stringify(dead))
    await using journal = await open(directory.path)
    assert.equal(journal.epoch, 2)
  })

  test('of many who find a dead writer one succeeds it', async () => {
    using directory = temporaryDirectory()
    {
      await using _journal = await open(directory.path)
    }
    for (let round = 0; round < 5; round++) {
      writeFileSync(`${directory.path}/r1/lock`, JSON.stringify({ token: `t${round}`, pid: process.pid, boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), started: '1', namespace: readlinkSync('/proc/self/ns/pid') }))
      const results = await Promise.allSettled(Array.from({ length: 5 }, () => open(directory.path)))
      const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      assert.equal(won.length, 1)
      await won[0]![Symbol.asyncDispose]()
      assert.deepEqual(readdirSync(`${directory.path}/r1`).filter((name) => name.startsWith('lock')), [])
    }
  })

  test('a writer whose lock was taken stops', async () => {
    using directory = temporaryDirectory()
    await using journal = await open(directory.path)
    writeFileSync(`${directory.path}/r1/lock`, JSON.stringify({ token: 'another', pid: 1, boot: 'b', started: '1', namespace: 'n' }))
    await until('the loss to be noticed', () => {
      try {
        journal.check()
        return false
      } catch (error) {
        return unavailable(error)
      }
    })
    await assert.rejects(() => journal.append(started('a'), 'queued'), unavailable)
  })

  test('a started action without an end is closed once, whatever the number of starts', async () => {
    using directory = temporaryDirectory()
    {
      await using journal = await open(directory.path, { segmentBytes: 3_000 })
      await journal.append(started('open', 'hold_1'), 'synced')
      for (let n = 0; n < 20; n++) await journal.append(started(`a${n}`), 'written')
      for (let n = 0; n < 20; n++) await journal.append(finished(`a${n}`), 'written')
    }
    {
      await using journal = await open(directory.path)
      assert.deepEqual(journal.recovered.unfinished.map(({ attempt, hold }) => [attempt, hold]), [['open', 'hold_1']])
    }
    await using journal = await open(directory.path)
    assert.deepEqual(journal.recovered.unfinished, [])
    const ends = (await readAll(journal)).filter(({ type }) => type === 'outcome-unknown')
    assert.deepEqual(ends.map(({ attempt, hold, digest }) => [attempt, hold, digest]), [['open', 'hold_1', `sha256:${'ab'.repeat(32)}`]])
  })

  for (const [name, tail] of [['half a line', '{"v":1,"id":"r1/1/3","seq":3,"pre'], ['zeros', '\0'.repeat(500)], ['a line cut in its event', undefined]] as const) {
    test(`torn tail: ${name}`, async () => {
      using directory = temporaryDirectory()
      {
        await using journal = await open(directory.path)
        for (let n = 0; n < 3; n++) await journal.append(finished(`a${n}`), 'synced')
      }
      const [path = ''] = segments(directory.path)
      const before = readFileSync(path, 'latin1')
      if (tail === undefined) truncateSync(path, before.length - 20)
      else appendFileSync(path, tail)
      await using journal = await open(directory.path)
      const kept = tail === undefined ? 2 : 3
      assert.ok(journal.recovered.tornBytes > 0)
      assert.equal((await readAll(journal)).length, kept)
      assert.equal(readdirSync(`${directory.path}/r1/torn`).length, 1)
      await journal.append(finished('next'), 'synced')
      assert.equal((await readAll(journal)).at(-1)?.prev, leafHash(linesOf(path).at(-1)!))
    })
  }

  test('damage before whole records stops the start: nothing acknowledged is cut away', async () => {
    using directory = temporaryDirectory()
    {
      await using journal = await open(directory.path)
      for (let n = 0; n < 10; n++) await journal.append(finished(`a${n}`), 'synced')
    }
    const [path = ''] = segments(directory.path)
    const text = readFileSync(path, 'latin1')
    const lines = text.split('\n')
    for (const damaged of [
      text.slice(0, lines[0]!.length + 1) + '\0'.repeat(lines[1]!.length) + text.slice(lines[0]!.length + lines[1]!.length + 1),
      text.replace('"attempt":"a4"', '"attempt":"x4"'),
      [...lines.slice(0, 3), ...lines.slice(4)].join('\n'),
      [...lines.slice(0, 3), lines[4], lines[3], ...lines.slice(5)].join('\n'),
    ]) {
      writeFileSync(path, damaged)
      await assert.rejects(() => open(directory.path), /is damaged/)
      assert.equal(readFileSync(path, 'latin1'), damaged)
    }
    writeFileSync(path, text)
    await using _journal = await open(directory.path)
  })

  test('after a power cut a hole is cut with what follows it, and kept aside', async () => {
    using directory = temporaryDirectory()
    {
      await using journal = await open(directory.path)
      for (let n = 0; n < 10; n++) await journal.append(finished(`a${n}`), 'synced')
    }
    const [path = ''] = segments(directory.path)
    const text = readFileSync(path, 'latin1')
    const at = text.indexOf('\n', 800) + 1
    writeFileSync(path, text.slice(0, at) + '\0'.repeat(50) + text.slice(at + 50))
    writeFileSync(`${directory.path}/r1/lock`, JSON.stringify({ token: 't', pid: 1, boot: 'before', started: '1', namespace: 'n' }))
    utimesSync(`${directory.path}/r1/lock`, 0, 0)
    await using journal = await open(directory.path)
    assert.equal(journal.recovered.tornBytes, text.length - at)
    assert.equal((await readAll(journal)).length, text.slice(0, at).split('\n').length - 1)
  })

  test('a deleted or shortened file is noticed at the next sync, and nothing is acknowledged after it', async () => {
    for (const spoil of [unlinkSync, (path: string) => truncateSync(path, 10)]) {
      using directory = temporaryDirectory()
      await using journal = await open(directory.path)
      await journal.append(started('a'), 'synced')
      spoil(segments(directory.path)[0]!)
      await assert.rejects(() => journal.append(started('b'), 'synced'), unavailable)
      await assert.rejects(() => journal.append(started('c'), 'queued'), unavailable)
      assert.throws(() => journal.check(), unavailable)
    }
  })

  test('below the low mark new things are refused and ends are still taken; space that comes back is seen', async () => {
    using directory = temporaryDirectory()
    let free = 1_000
    let now = Date.now()
    await using journal = await openJournal(options(directory.path, { minFreeBytes: 500 }), { now: () => now, disk: { ...realDisk, space: () => ({ free, used: 0 }) } })
    await journal.append(started('a'), 'written')
    free = 100
    now += 5_000
    await assert.rejects(() => journal.append(started('b'), 'written'), unavailable)
    assert.throws(() => journal.check(), unavailable)
    await journal.append(finished('a'), 'written')
    free = 1_000
    now += 5_000
    journal.check()
    await journal.append(started('c'), 'written')
    assert.deepEqual((await readAll(journal)).map(({ attempt }) => attempt), ['a', 'a', 'c'])
  })

  test('marks of a disk that fills are on record, are left with some room below them, and the last one stops everything', async () => {
    using directory = temporaryDirectory()
    let used = 50
    let now = Date.now()
    const told: unknown[] = []
    await using journal = await openJournal(options(directory.path, { diskMarks: { warn: 80, alert: 90, denyChanges: 95, denyAll: 99 } }), { now: () => now, disk: { ...realDisk, space: () => ({ free: 100 - used, used }) }, marked: (state) => void told.push(state) })
    const at = async (percent: number): Promise<string> => {
      used = percent
      now += 5_000
      const taken = await journal.append(started(`at ${percent}`), 'written').then(() => 'taken', () => 'refused')
      return `${journal.disk().mark} ${taken}`
    }
    const seen = []
    for (const percent of [79, 80, 79.5, 78.9, 92, 96, 94.5, 93.9, 99, 98.5, 97.9, 10]) seen.push(await at(percent))
    assert.deepEqual(seen, ['none taken', 'warn taken', 'warn taken', 'none taken', 'alert taken', 'deny-changes taken', 'deny-changes taken', 'alert taken', 'deny-all refused', 'deny-all refused', 'deny-changes taken', 'none taken'])
    const marks = (await readAll(journal)).filter(({ type }) => type === 'disk-mark').map(({ mark }) => mark)
    assert.deepEqual(marks, ['warn', 'none', 'alert', 'deny-changes', 'alert', 'deny-all', 'deny-changes', 'none'])
    assert.equal(told.length, marks.length)
  })

  test('a cursor continues where it stood, over small limits, segments and deleted files', async () => {
    using directory = temporaryDirectory()
    await using journal = await open(directory.path, { segmentBytes: 5_000 })
    for (let n = 0; n < 30; n++) await journal.append(started(`a${n}`), 'written')
    const seen: string[] = []
    let cursor: string | undefined
    for (;;) {
      const { lines, cursor: next } = await journal.read(cursor, { lines: 3, bytes: 100 })
      if (lines.length === 0) break
      seen.push(...lines.map(({ id }) => id))
      cursor = next
    }
    assert.deepEqual(seen, Array.from({ length: 30 }, (_, n) => `r1/1/${n}`))
    const woken = journal.more(new AbortController().signal)
    await journal.append(started('x'), 'written')
    await woken
    assert.deepEqual((await journal.read(cursor, { lines: 10, bytes: 10_000 })).lines.map(({ id }) => id), ['r1/1/30'])
    unlinkSync(segments(directory.path)[0]!)
    const later = await journal.read('0000000000-000000000000000.ndjson:5', { lines: 1, bytes: 1 })
    assert.equal(later.lines[0]?.id, JSON.parse(linesOf(segments(directory.path)[0]!)[0]!).id)
    await assert.rejects(() => journal.read('nonsense', { lines: 1, bytes: 1 }), /not a position/)
  })

  test('more ends with its signal', async () => {
    using directory = temporaryDirectory()
    await using journal = await open(directory.path)
    await journal.more(AbortSignal.abort())
    const controller = new AbortController()
    const waiting = journal.more(controller.signal)
    controller.abort()
    await waiting
  })

  test('files are for their owner alone', async () => {
    using directory = temporaryDirectory()
    await using _journal = await open(directory.path)
    for (const path of [...segments(directory.path), `${directory.path}/r1/lock`, `${directory.path}/r1/epoch.json`]) assert.equal(statSync(path).mode & 0o077, 0)
  })

  test('a replica name cannot leave its directory', async () => {
    for (const replica of ['../x', '', '.', 'a/b', 'a\n']) await assert.rejects(() => open('/nowhere', { replica }), /replica name/)
  })
})
