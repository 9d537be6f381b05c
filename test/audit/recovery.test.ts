import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { leafHash } from '../../src/lib/leaf-hash.ts'
import { finished, open, readAll, started, temporaryDirectory } from './audit-samples.ts'

/** A journal of twelve records, closed. */
const written = async (directory: string) => {
  {
    await using journal = await open(directory)
    for (let n = 0; n < 6; n++) {
      await journal.append(started(`a${n}`), 'written')
      await journal.append(finished(`a${n}`), 'written')
    }
  }
  const wal = `${directory}/r1/wal`
  const path = `${wal}/${readdirSync(wal)[0]}`
  const whole = readFileSync(path)
  /** The journal again with this content of its only segment. */
  const reopen = async (content: Buffer): Promise<string[] | undefined> => {
    rmSync(`${directory}/r1`, { recursive: true })
    mkdirSync(wal, { recursive: true })
    writeFileSync(path, content)
    try {
      await using journal = await open(directory)
      return (await readAll(journal)).filter(({ type }) => type !== 'outcome-unknown').map(({ id }) => id)
    } catch (error) {
      assert.match((error as Error).message, /damaged/)
      return undefined
    }
  }
  return { whole, reopen }
}

describe('recovery', () => {
  test('cut at any byte: every whole line before it is there, and it starts', async () => {
    using directory = temporaryDirectory()
    const { whole, reopen } = await written(directory.path)
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), async (at) => {
        const lines = whole.subarray(0, at).toString('latin1').split('\n').length - 1
        assert.deepEqual(await reopen(whole.subarray(0, at)), Array.from({ length: lines }, (_, n) => `r1/1/${n}`))
      }),
      { numRuns: 60 },
    )
  })

  test('one byte changed anywhere: it stops the start, or it lies in the last line', async () => {
    using directory = temporaryDirectory()
    const { whole, reopen } = await written(directory.path)
    const lastLine = whole.subarray(0, -1).lastIndexOf(0x0a) + 1
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const content = Buffer.from(whole)
        content[at]! ^= flip
        const ids = await reopen(content)
        assert.equal(ids === undefined || (at >= lastLine - 1 && ids.length >= 10), true, `byte ${at} ^ ${flip}: ${ids?.length}`)
      }),
      { numRuns: 80 },
    )
  })

  test('a last line that was spoiled in its middle is cut, counts for nothing, and the chain goes on from the one before', async () => {
    using directory = temporaryDirectory()
    {
      await using journal = await open(directory.path)
      await journal.append(started('a'), 'synced')
      await journal.append(finished('a'), 'synced')
    }
    const path = `${directory.path}/r1/wal/${readdirSync(`${directory.path}/r1/wal`)[0]}`
    const text = readFileSync(path, 'latin1')
    writeFileSync(path, text.replace('"result":', '"result"\0'), 'latin1')
    await using journal = await open(directory.path)
    assert.deepEqual(journal.recovered.unfinished.map(({ attempt }) => attempt), ['a'], 'the end that does not read is none')
    const [first, next] = await readAll(journal)
    assert.deepEqual([first?.type, next?.type, next?.prev], ['started', 'outcome-unknown', leafHash(text.split('\n')[0] ?? '')])
  })

  test('what follows the last line, whatever it is, is cut or stops the start; nothing before it is lost', async () => {
    using directory = temporaryDirectory()
    const { whole, reopen } = await written(directory.path)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 3_000 }), async (tail) => {
        const ids = await reopen(Buffer.concat([whole, tail]))
        assert.equal(ids?.length, 12)
      }),
      { numRuns: 40 },
    )
  })
})
