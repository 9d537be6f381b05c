import assert from 'node:assert/strict'
import { appendFileSync, readdirSync } from 'node:fs'
import { describe, test } from 'node:test'
import { realDisk, type Disk } from '../../src/audit/disk.ts'
import { openJournal } from '../../src/audit/file-journal.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { finished, open, options, readAll, started, temporaryDirectory } from '../audit/audit-samples.ts'

const failing = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code })
const unavailable = (error: unknown): boolean => error instanceof Refusal && error.code === 'journal-unavailable'

/** Each way in which a disk says no. `broken` turns it on. */
const faults: Readonly<Record<string, (broken: () => boolean) => Partial<Disk>>> = {
  'EIO at write': (broken) => ({ write: (...args) => (broken() ? raise('EIO') : realDisk.write(...args)) }),
  'ENOSPC at write': (broken) => ({ write: (...args) => (broken() ? raise('ENOSPC') : realDisk.write(...args)) }),
  'a write that takes half': (broken) => ({ write: (fd, bytes, length) => realDisk.write(fd, bytes, broken() ? length >> 1 : length) }),
  'a write that says yes and does nothing': (broken) => ({ write: (fd, bytes, length) => (broken() ? length : realDisk.write(fd, bytes, length)) }),
  'EIO at fdatasync': (broken) => ({ sync: (fd, done) => (broken() ? void setImmediate(done, failing('EIO')) : realDisk.sync(fd, done)) }),
  'ENOSPC at fdatasync': (broken) => ({ sync: (fd, done) => (broken() ? void setImmediate(done, failing('ENOSPC')) : realDisk.sync(fd, done)) }),
}
const raise = (code: string): never => {
  throw failing(code)
}

describe('a disk that fails', () => {
  for (const [name, fault] of Object.entries(faults)) {
    test(`${name}: nothing is acknowledged after it, though the disk works again, and what was acknowledged is there`, async () => {
      using directory = temporaryDirectory()
      let broken = false
      const told: Error[] = []
      const journal = await openJournal(options(directory.path), { now: Date.now, disk: { ...realDisk, ...fault(() => broken) }, failed: (cause) => told.push(cause) })
      const acknowledged: string[] = []
      const write = (attempt: string): Promise<unknown> => journal.append(finished(attempt), 'synced').then(() => acknowledged.push(attempt))
      await Promise.all(Array.from({ length: 32 }, (_, n) => write(`before-${n}`)))
      broken = true
      const during = await Promise.allSettled(Array.from({ length: 32 }, (_, n) => write(`during-${n}`)))
      assert.deepEqual(during.map((result) => result.status === 'rejected' && unavailable(result.reason)), Array.from({ length: 32 }, () => true))
      broken = false
      for (const durability of ['queued', 'written', 'synced'] as const) await assert.rejects(() => journal.append(finished('after'), durability), unavailable)
      assert.throws(() => journal.check(), unavailable)
      assert.equal(told.length, 1)
      await journal[Symbol.asyncDispose]()
      await using next = await open(directory.path)
      const found = (await readAll(next)).map(({ attempt }) => attempt)
      assert.deepEqual(acknowledged.filter((attempt) => !found.includes(attempt)), [])
      assert.equal(found.includes('after'), false)
    })
  }

  test('a disk that never answers a sync is a failed one', async (t) => {
    using directory = temporaryDirectory()
    let stuck = false
    const journal = await openJournal(options(directory.path), { now: Date.now, syncDeadlineMs: 100, disk: { ...realDisk, sync: (fd, done) => (stuck ? undefined : realDisk.sync(fd, done)) } })
    t.after(() => journal[Symbol.asyncDispose]())
    await journal.append(started('a'), 'synced')
    stuck = true
    await assert.rejects(() => journal.append(started('b'), 'synced'), unavailable)
    await assert.rejects(() => journal.append(started('c'), 'written'), unavailable)
  })

  for (const step of ['makeDirectory', 'open', 'rename', 'syncNow'] as const) {
    test(`EIO at ${step} while it opens: it does not start, and leaves nothing in the way`, async () => {
      using directory = temporaryDirectory()
      await assert.rejects(() => open(directory.path, {}, { ...realDisk, [step]: () => raise('EIO') }), /EIO/)
      await using journal = await open(directory.path)
      await journal.append(started('a'), 'synced')
    })
  }

  test('EIO at any step of the recovery of a torn tail: the next start recovers the same', async () => {
    using directory = temporaryDirectory()
    {
      await using journal = await open(directory.path)
      await journal.append(started('a'), 'synced')
    }
    const wal = `${directory.path}/r1/wal`
    for (const step of ['write', 'syncNow', 'truncate', 'rename', 'open', 'close'] as const) {
      for (let at = 0; at < 8; at++) {
        appendFileSync(`${wal}/${readdirSync(wal).sort().at(-1)}`, '{"v":1,"torn')
        let count = 0
        const real = realDisk[step] as (...args: unknown[]) => unknown
        const disk: Disk = { ...realDisk, [step]: (...args: unknown[]) => (count++ === at ? raise('EIO') : real(...args)) }
        await open(directory.path, {}, disk).then((journal) => journal[Symbol.asyncDispose]()).catch((error: Error) => assert.match(error.message, /EIO|cannot be recorded/))
      }
    }
    await using journal = await open(directory.path)
    const all = await readAll(journal)
    assert.deepEqual(all.filter(({ type }) => type !== 'outcome-unknown').map(({ attempt }) => attempt), ['a'])
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length)
    assert.ok(all.some(({ type }) => type === 'outcome-unknown'))
  })
})
