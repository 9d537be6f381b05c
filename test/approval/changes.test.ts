import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeNews } from '../../src/approval/changes.ts'
import type { HoldStore } from '../../src/approval/hold-store.ts'
import { openEmbeddedStore } from '../../src/stores/embedded/embedded-store.ts'
import { entry } from '../contracts/hold-store-contract.ts'
import { until } from '../support/until.ts'

const limits = { perCaller: 1e9, perService: 1e9 }

test('all who listen share one reader, each until its own end, and after trouble it goes on where it was', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-news-'))
  try {
    await using store = openEmbeddedStore({ kind: 'embedded', path: join(dir, 'holds.db') })
    let readers = 0
    let broken = new AbortController()
    const shaky = {
      changes: async function* (after, signal) {
        readers++
        yield* store.changes(after, AbortSignal.any([signal, broken.signal]))
        if (broken.signal.aborted) throw new Error('the store went away')
      },
    } satisfies Pick<HoldStore, 'changes'>
    const troubles: unknown[] = []
    await using news = makeNews(shaky as unknown as HoldStore, (error) => troubles.push(error))

    const [first, second]: [string[], string[]] = [[], []]
    const [firstEnds, secondEnds] = [new AbortController(), new AbortController()]
    news.hear(({ id }) => first.push(id), firstEnds.signal)
    news.hear(({ id }) => second.push(id), secondEnds.signal)
    const open = (id: string) => store.open(entry({ id }), limits)
    await open('one')
    await until('both to hear', () => first.length === 1 && second.length === 1)
    assert.equal(readers, 1)

    firstEnds.abort()
    broken.abort()
    await until('the reader to fail', () => troubles.length === 1)
    broken = new AbortController()
    await open('two')
    await until('the other to hear of what came meanwhile', () => second.length === 2)
    assert.deepEqual([first, second, readers], [['one'], ['one', 'two'], 2])
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

test('a listener that fails keeps nothing from the others, and the reader goes on', async () => {
  const reading = new AbortController()
  const told = { changes: async function* (_after, signal) {
    for (const id of ['one', 'two']) yield { cursor: id, id, state: 'approved' }
    await once(AbortSignal.any([signal, reading.signal]), 'abort')
  } } satisfies Pick<HoldStore, 'changes'>
  const troubles: unknown[] = []
  await using news = makeNews(told as unknown as HoldStore, (error) => troubles.push(error))
  const [heard, ends]: [string[], AbortController] = [[], new AbortController()]
  news.hear(() => { throw new Error('a bug') }, ends.signal)
  news.hear(({ id }) => heard.push(id), ends.signal)
  await until('the other to hear of both', () => heard.length === 2)
  assert.deepEqual([heard, troubles.length], [['one', 'two'], 2])
})
