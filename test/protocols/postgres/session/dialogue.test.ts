import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { AskFailed, Dialogue } from '../../../../src/protocols/postgres/dialogue.ts'
import type { Backend } from '../../../../src/protocols/postgres/upstream.ts'

test('a server that does not answer a question of ours is asked to stop, and then left', async () => {
  const calls: string[] = []
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const backend = { socket, rest: Buffer.alloc(0), cancel: async () => void calls.push('cancel') } as unknown as Backend
  const dialogue = new Dialogue({ backend, rowBytes: 1_024, toClient: () => {}, named: () => {}, ready: () => {}, over: (cause) => void calls.push(String(cause?.message)) })
  dialogue.begin()
  await assert.rejects(dialogue.ask('select 1', 10), AskFailed)
  assert.deepEqual(calls, ['cancel', 'the server does not answer'])
  assert.ok(dialogue.over)
  socket.destroy()
})
