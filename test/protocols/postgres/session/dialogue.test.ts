import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { noticeResponse } from '../../../../src/protocols/postgres/codec/reply.ts'
import { AskFailed, Dialogue } from '../../../../src/protocols/postgres/dialogue.ts'
import type { Backend } from '../../../../src/protocols/postgres/upstream.ts'
import { until } from '../../../support/until.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

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

test('what a client cancels is written before the server is asked, what follows only when it has heard', async () => {
  let heard: () => void = () => {}
  const order: string[] = []
  const { dialogue, written } = begin(() => new Promise((resolve) => {
    order.push(`asked behind ${written.join()}`)
    heard = resolve
  }))
  dialogue.send({ kind: 'query' }, Buffer.from('first'))
  dialogue.cancel()
  dialogue.send({ kind: 'query' }, Buffer.from('second'))
  assert.equal(dialogue.write(), false)
  assert.deepEqual([order, written], [['asked behind first'], ['first']])
  heard()
  await dialogue.drained()
  assert.deepEqual(written, ['first', 'second'])
})

test('a request of the client that does not get to the server ends nothing, unless a limit has to be kept by now', async () => {
  for (const isLimited of [false, true]) {
    let fail: (cause: Error) => void = () => {}
    const { dialogue, ends } = begin(() => new Promise((_resolve, reject) => (fail = reject)))
    dialogue.send({ kind: 'query' }, Buffer.from('long'))
    dialogue.cancel()
    if (isLimited) dialogue.stop()
    fail(new Error('no way to it'))
    await dialogue.drained().catch(() => {})
    assert.deepEqual(ends, isLimited ? ['the server could not be asked to stop'] : [])
  }
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

/** A dialogue that has asked for rows, and what its client got. */
const asked = (taken: () => boolean) => {
  const shown: Buffer[] = []
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const backend = { socket, rest: Buffer.alloc(0), parameters: new Map(), cancel: () => Promise.resolve() } as unknown as Backend
  const dialogue = new Dialogue({ backend, rowBytes: 1_024, toClient: (bytes) => void shown.push(taken() ? Buffer.from(bytes) : bytes), taken, ready: () => {}, over: (cause) => void shown.push(Buffer.from(String(cause))) })
  dialogue.begin()
  dialogue.send({ kind: 'query' }, Buffer.from('select'))
  dialogue.write()
  return { dialogue, socket, shown }
}

const rows = (bytes: number): Buffer => {
  const chunk = Buffer.allocUnsafeSlow(bytes).fill('r')
  chunk[0] = 0x44
  chunk.writeInt32BE(bytes - 1, 1)
  return chunk
}

const notice = (text: string): Buffer => noticeResponse(new Map([['S', 'NOTICE'], ['C', '00000'], ['M', text]]))

const came = (socket: Duplex, chunk: Buffer): Promise<unknown> => {
  socket.push(chunk)
  return turn()
}

test('what was read is given back once the client has all of it, and not before', async () => {
  let taken = false
  const { socket, shown } = asked(() => taken)
  const [first, second] = [rows(10_000), rows(10_000)]
  await came(socket, first)
  assert.equal(shown[0], first)
  assert.equal(first.length, 10_000)
  taken = true
  await came(socket, second)
  assert.deepEqual([first.length, second.length, shown.length], [0, 0, 2])
  socket.destroy()
})

test('what waits behind a slow client is not held for it when it has gone', async () => {
  const { socket, shown } = asked(() => false)
  const passed = await (async () => {
    const chunk = rows(100_000)
    await came(socket, chunk)
    return new WeakRef(chunk.buffer)
  })()
  shown.length = 0
  await until('the memory to be gone', () => (collect(), passed.deref() === undefined))
  socket.destroy()
})

test('what others have a part of is not given back', async () => {
  const { socket } = asked(() => true)
  const shared = Buffer.concat([rows(10_000), Buffer.alloc(10)])
  const part = shared.subarray(0, 10_000)
  await came(socket, part)
  assert.deepEqual([part.length, shared.length], [10_000, 10_010])
  socket.destroy()
})

test('however rows and messages are cut, what was given back is not needed any more', async () => {
  const stream = Buffer.concat([rows(9_000), notice('n'.repeat(7_000)), rows(9_000), rows(300), notice('short'), rows(20_000)])
  for (let cut = 5_000; cut < stream.length - 5_000; cut += 97) {
    const { socket, shown } = asked(() => true)
    for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) {
      const chunk = Buffer.allocUnsafeSlow(piece.length)
      piece.copy(chunk)
      await came(socket, chunk)
      assert.equal(chunk.length, 0)
    }
    assert.ok(Buffer.concat(shown).equals(stream), `cut at ${cut}`)
    socket.destroy()
  }
})
