import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { AskFailed, Dialogue } from '../../../../src/protocols/postgres/dialogue.ts'
import type { Backend } from '../../../../src/protocols/postgres/upstream.ts'

test('a server that does not answer a question of ours is asked to stop, and then left', async () => {
  const calls: string[] = []
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const backend = { socket, rest: Buffer.alloc(0), cancel: async () => void calls.push('cancel') } as unknown as Backend
  const dialogue = new Dialogue({ backend, rowBytes: 1_024, toClient: () => {}, taken: () => true, named: () => {}, ready: () => {}, over: (cause) => void calls.push(String(cause?.message)) })
  dialogue.begin()
  await assert.rejects(dialogue.ask('select 1', 10), AskFailed)
  assert.deepEqual(calls, ['cancel', 'the server does not answer'])
  assert.ok(dialogue.over)
  socket.destroy()
})

/** A dialogue with a server that never answers, and what was written to it. */
const begin = (cancel: () => Promise<void>) => {
  const written: string[] = []
  const ends: string[] = []
  const socket = new Duplex({ read() {}, write: (chunk: Buffer, _encoding, done) => { written.push(chunk.toString()); done() } })
  const backend = { socket, rest: Buffer.alloc(0), parameters: new Map(), cancel } as unknown as Backend
  const dialogue = new Dialogue({ backend, rowBytes: 1_024, toClient: () => {}, taken: () => true, named: () => {}, ready: () => {}, over: (cause) => void ends.push(String(cause?.message)) })
  dialogue.begin()
  return { dialogue, written, ends }
}

test('while the server is asked to stop, nothing else is sent that it could stop instead', async () => {
  let heard: () => void = () => {}
  const { dialogue, written } = begin(() => new Promise((resolve) => (heard = resolve)))
  dialogue.send({ kind: 'query' }, Buffer.from('first'))
  assert.equal(dialogue.write(), true)
  dialogue.stop()
  dialogue.send({ kind: 'query' }, Buffer.from('second'))
  assert.equal(dialogue.write(), false)
  const drained = dialogue.drained()
  assert.deepEqual(written, ['first'])
  heard()
  await drained
  assert.deepEqual(written, ['first', 'second'])
})

test('a server that cannot be asked to stop is left, unless it has nothing to stop any more', async () => {
  const failed = begin(() => Promise.reject(new Error('no way to it')))
  failed.dialogue.send({ kind: 'query' }, Buffer.from('long'))
  failed.dialogue.write()
  failed.dialogue.stop()
  await assert.rejects(failed.dialogue.settled(), /could not be asked to stop/)
  assert.deepEqual(failed.ends, ['the server could not be asked to stop'])
  const idle = begin(() => Promise.reject(new Error('no way to it')))
  idle.dialogue.stop()
  await idle.dialogue.drained()
  assert.equal(idle.dialogue.over, false)
})
