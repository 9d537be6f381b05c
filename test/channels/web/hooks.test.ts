import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hook, Post } from '../../../src/channels/hook.ts'
import { makeConsoleListener } from '../../../src/channels/web/listener.ts'
import { Refusal } from '../../../src/model/refusal.ts'
import { makeDesk, silent } from './hold-desk.ts'

test('a hook gets the bytes as they came, from programs, up to its length, and says no as the API does', async () => {
  const posts: Post[] = []
  const hook: Hook = {
    path: '/chat/events',
    mostBytes: 100_000,
    async answer(post) {
      posts.push(post)
      if (post.headers('x-proof')[0] !== 'good') throw new Refusal('bad-identity', 'Not from the chat.')
      return post.body.length > 3 ? { status: 200, body: { said: post.body.toString() } } : { status: 200 }
    },
  }
  await using listener = makeConsoleListener({ host: '127.0.0.1', port: 0, url: 'https://approvals.example.org', hosts: ['127.0.0.1'], streams: { total: 1, perViewer: 1 } }, { ...makeDesk(), log: silent, hooks: [hook] })
  const { port } = await listener.listen()
  const post = (path: string, body: string, headers: Record<string, string> = { 'x-proof': 'good' }) => fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } })
  const first = await post('/chat/events', 'a=%7B')
  assert.deepEqual([first.status, await first.json()], [200, { said: 'a=%7B' }])
  const empty = await post('/chat/events', 'a')
  assert.deepEqual([empty.status, await empty.text(), empty.headers.get('cache-control')], [200, '', 'no-store'])
  assert.equal((await post('/chat/events', 'a=b', {})).status, 401)
  assert.equal(posts.length, 3)
  assert.equal((await post('/chat/events', 'x'.repeat(100_001))).status, 413)
  assert.equal((await post('/chat/events', 'a', { 'x-proof': 'good', origin: 'https://elsewhere.example' })).status, 403)
  assert.equal((await fetch(`http://127.0.0.1:${port}/chat/events`)).status, 405)
  assert.equal((await post('/chat/events/', 'a')).status, 404)
  assert.equal(posts.length, 3)
})
