import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEvents } from '../../../src/lib/event-source.ts'
import { makeHold, person, startDesk } from './hold-desk.ts'
import { until } from '../../support/until.ts'

const open = async (url: string, token: string, headers: Record<string, string> = {}) => {
  const over = new AbortController()
  const response = await fetch(`${url}/api/holds/events`, { headers: { authorization: `Bearer ${token}`, ...headers }, signal: AbortSignal.any([over.signal, AbortSignal.timeout(10_000)]) })
  const seen: string[] = []
  const ended = (async () => {
    for await (const { id, data } of readEvents(response.body as ReadableStream<Uint8Array>)) seen.push(`${id} ${data}`)
  })().catch(() => {})
  return { status: response.status, type: response.headers.get('content-type'), seen, ended, close: () => over.abort() }
}

test('changes arrive as ids and states, each viewer seeing what is theirs', async () => {
  await using desk = await startDesk()
  const alice = await open(desk.url, 'alice')
  const dave = await open(desk.url, 'dave')
  assert.deepEqual([alice.status, alice.type], [200, 'text/event-stream'])
  desk.holds.set('hold_2', makeHold({ id: 'hold_2', caller: person('dave', 'developers') }))
  desk.change('hold_1', 'approved')
  desk.change('hold_2', 'pending')
  await until('both to hear of the second', () => alice.seen.length === 2 && dave.seen.length === 1)
  assert.deepEqual(alice.seen, ['c1 {"id":"hold_1","state":"approved"}', 'c2 {"id":"hold_2","state":"pending"}'])
  assert.deepEqual(dave.seen, ['c2 {"id":"hold_2","state":"pending"}'])
})

test('a client comes back with its last id and misses nothing', async () => {
  await using desk = await startDesk()
  const first = await open(desk.url, 'alice')
  desk.change('hold_1', 'pending')
  await until('the first change', () => first.seen.length === 1)
  first.close()
  desk.change('hold_1', 'approved')
  const second = await open(desk.url, 'alice', { 'last-event-id': 'c1' })
  await until('the missed change', () => second.seen.length === 1)
  assert.deepEqual(second.seen, ['c2 {"id":"hold_1","state":"approved"}'])
})

test('the stream ends with the token', async () => {
  await using desk = await startDesk()
  desk.tokens.set('short', { ...person('alice', 'security'), expiresAt: Date.now() + 150 })
  const stream = await open(desk.url, 'short')
  await stream.ended
  desk.change('hold_1', 'approved')
  assert.deepEqual(stream.seen, [])
})

test('who has lost a group hears no more of what only its members see, though the stream was open before', async () => {
  await using desk = await startDesk()
  desk.holds.set('hold_2', makeHold({ id: 'hold_2', caller: person('alice') }))
  const alice = await open(desk.url, 'alice')
  desk.change('hold_1', 'pending')
  await until('the first change', () => alice.seen.length === 1)
  desk.tokens.set('alice', person('alice', 'gardeners'))
  desk.change('hold_1', 'approved')
  desk.change('hold_2', 'pending')
  await until('what is her own', () => alice.seen.length > 1)
  assert.deepEqual(alice.seen.slice(1), ['c3 {"id":"hold_2","state":"pending"}'])
})

test('streams are counted, and given back', async () => {
  await using desk = await startDesk()
  const streams = [await open(desk.url, 'alice'), await open(desk.url, 'alice')]
  assert.equal((await desk.call('GET', '/api/holds/events', { token: 'alice' })).json['code'], 'too-many-waiting')
  assert.equal((await open(desk.url, 'dave')).status, 200)
  streams[0]?.close()
  await until('the place to be free', async () => (await open(desk.url, 'alice')).status === 200)
})

test('draining ends streams and lets requests end', async () => {
  await using desk = await startDesk()
  const stream = await open(desk.url, 'alice')
  await desk.listener.drain(AbortSignal.timeout(5_000))
  await stream.ended
  await assert.rejects(fetch(`${desk.url}/api/login-info`))
})
