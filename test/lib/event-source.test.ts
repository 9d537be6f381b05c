import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readEvents } from '../../src/lib/event-source.ts'

const text = 'retry: 2000\n: open\n\nevent: hold\nid: 1\ndata: {"ü":1}\n\nid: 2\r\ndata: a\r\ndata:b\r\n\r\ndata: last\n\ndata: never ended'
const expected = [
  { event: 'hold', data: '{"ü":1}', id: '1' },
  { event: 'message', data: 'a\nb', id: '2' },
  { event: 'message', data: 'last', id: '2' },
]

test('events are the same however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(text.length), { maxLength: 12 }), async (cuts) => {
      const bytes = new TextEncoder().encode(text)
      const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
      const body = (async function* () {
        for (let at = 1; at < edges.length; at++) yield bytes.subarray(edges[at - 1], edges[at])
      })()
      assert.deepEqual(await Array.fromAsync(readEvents(body)), expected)
    }),
    { numRuns: 100 },
  )
})

test('an event without end is not collected without end', async () => {
  const body = (async function* () {
    for (;;) yield new Uint8Array(100_000).fill(97)
  })()
  await assert.rejects(Array.fromAsync(readEvents(body)), /longer than 1 MB/)
})
