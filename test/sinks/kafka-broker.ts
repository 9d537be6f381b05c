import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { recordLineOf } from '../../src/audit/ocsf/line.ts'
import { makeReader, makeWriter, type Reader, type Writer } from '../../src/sinks/kafka/wire.ts'

/** What becomes of a batch, by its number. `taken, and …`: it is kept, and the answer is another. */
export type Manner = 'ok' | 'not leader' | 'throttle' | 'hang' | 'reset' | 'taken, and hang' | 'taken, and reset' | 'taken, and not enough replicas' | 'forgets the producer' | 'not allowed'

export interface KafkaBroker extends AsyncDisposable {
  readonly port: number
  /** The lines of the journal, in the order of arrival. */
  readonly kept: string[]
  readonly batches: { readonly at: number; readonly manner: Manner }[]
  manner: (batch: number) => Manner
  isBad: (line: string) => boolean
}

export interface BrokerParts {
  /** Where the broker says that it is; itself, if nothing is said. */
  readonly advertised?: { readonly host: string; readonly port: number }
  /** Wants a login by PLAIN. */
  readonly password?: string
}

const errors: Partial<Record<Manner, number>> = { 'not leader': 6, 'taken, and not enough replicas': 20, 'forgets the producer': 59, 'not allowed': 29 }
const topic = 'audit.log'
/** Of three; where Kafka's own clients put the key r1. */
const partition = 1

/**
 * A broker that speaks as much of Kafka's protocol as a producer needs, and is as strict as the real one about batches: sums, counts, numbers of idempotent producers.
 * `npm run clients:kafka` does the same with the real one.
 */
export const startKafkaBroker = async ({ advertised, password }: BrokerParts = {}): Promise<KafkaBroker> => {
  const state = { kept: [] as string[], batches: [] as KafkaBroker['batches'], manner: (() => 'ok') as KafkaBroker['manner'], isBad: (() => false) as KafkaBroker['isBad'] }
  const complaints: string[] = []
  const producers = new Map<bigint, { next: number; last: number }>()
  const sockets = new Set<Socket>()
  let port = 0

  const metadata = (from: Reader): Writer => {
    assert.deepEqual([from.int32(), from.text(), from.int8()], [1, topic, 0])
    const at = advertised ?? { host: '127.0.0.1', port }
    const to = makeWriter().int32(0).int32(1).int32(7).text(at.host).int32(at.port).text(null).text('cluster').int32(7).int32(1).int16(0).text(topic).int8(0).int32(3)
    for (const index of [1, 2, 0]) to.int16(0).int32(index).int32(7).int32(1).int32(7).int32(1).int32(7).int32(0)
    return to
  }

  /** `undefined`: no answer. */
  const produce = (from: Reader, socket: Socket): Writer | undefined => {
    assert.deepEqual([from.text(), from.int16()], ['', -1], 'all replicas')
    assert.ok(from.int32() > 0)
    assert.deepEqual([from.int32(), from.text(), from.int32(), from.int32()], [1, topic, 1, partition])
    const { producer, sequence, records } = readBatch(from.bytes())
    const manner = state.manner(state.batches.length)
    state.batches.push({ at: Date.now(), manner })
    if (manner === 'reset') return void socket.resetAndDestroy()
    if (manner === 'hang') return undefined
    const known = producers.get(producer)
    assert.ok(known !== undefined, 'a producer that was named')
    const answer = (error: number, throttleMs = 0): Writer => makeWriter().int32(1).text(topic).int32(1).int32(partition).int16(error).int64(0n).int64(-1n).int64(0n).int32(0).text(null).int32(throttleMs)
    if (manner === 'not leader' || manner === 'not allowed') return answer(errors[manner] ?? -1)
    if (manner === 'forgets the producer') {
      producers.delete(producer)
      return answer(59)
    }
    if (records.some(({ line }) => state.isBad(line))) return answer(87)
    if (sequence === known.last && sequence + records.length === known.next) return answer(0) // it has this one
    if (sequence !== known.next) return answer(45)
    producers.set(producer, { last: sequence, next: sequence + records.length })
    state.kept.push(...records.map(({ line }) => line))
    if (manner === 'taken, and reset') return void socket.resetAndDestroy()
    if (manner === 'taken, and hang') return undefined
    return answer(errors[manner] ?? 0, manner === 'throttle' ? 1_000 : 0)
  }

  let loggedIn = new WeakSet<Socket>()
  const serve = (frame: Buffer, socket: Socket): void => {
    const from = makeReader(frame)
    const [api, version, correlation, client] = [from.int16(), from.int16(), from.int32(), from.text()]
    assert.equal(client, 'countersign')
    const asked = `${api}/${version}`
    const reply = ((): Writer | undefined => {
      if (asked === '17/1') return makeWriter().int16(from.text() === 'PLAIN' ? 0 : 33).int32(1).text('PLAIN')
      if (asked === '36/1') {
        const good = from.bytes().toString() === `\0gate\0${password}`
        if (good) loggedIn = loggedIn.add(socket)
        return makeWriter().int16(good ? 0 : 58).text(good ? null : 'wrong').bytes(Buffer.alloc(0)).int64(0n)
      }
      assert.ok(password === undefined || loggedIn.has(socket), 'nothing before the login')
      if (asked === '3/5') return metadata(from)
      if (asked === '22/1') {
        const id = BigInt(1_000 + producers.size + state.batches.length)
        producers.set(id, { next: 0, last: -1 })
        return makeWriter().int32(0).int16(0).int64(id).int16(0)
      }
      assert.equal(asked, '0/8')
      return produce(from, socket)
    })()
    if (reply !== undefined) socket.write(makeWriter().bytes(makeWriter().int32(correlation).raw(reply.done()).done()).done())
  }

  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    let waiting = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk])
      while (waiting.length >= 4 && waiting.length >= 4 + waiting.readInt32BE(0)) {
        const frame = waiting.subarray(4, 4 + waiting.readInt32BE(0))
        waiting = waiting.subarray(4 + frame.length)
        try {
          serve(frame, socket)
        } catch (error) {
          complaints.push(String(error))
          socket.destroy()
        }
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
  return Object.assign(state, {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      if (complaints.length > 0) throw new Error(`the broker had to complain: ${complaints.join('; ')}`)
    },
  })
}

/** Bit by bit, written apart from the one that is tested. */
const castagnoli = (bytes: Buffer): number => {
  let sum = 0xffffffff
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1
  }
  return (sum ^ 0xffffffff) | 0
}

const readBatch = (batch: Buffer): { readonly producer: bigint; readonly sequence: number; readonly records: readonly { readonly line: string }[] } => {
  assert.deepEqual([batch.readBigInt64BE(0), batch.readInt32BE(8), batch.readInt8(16)], [0n, batch.length - 12, 2])
  assert.equal(batch.readInt32BE(17), castagnoli(batch.subarray(21)))
  const [attributes, lastOffset, first, last] = [batch.readInt16BE(21), batch.readInt32BE(23), batch.readBigInt64BE(27), batch.readBigInt64BE(35)]
  const [producer, epoch, sequence, count] = [batch.readBigInt64BE(43), batch.readInt16BE(51), batch.readInt32BE(53), batch.readInt32BE(57)]
  assert.deepEqual([attributes, lastOffset, epoch], [0, count - 1, 0])
  let at = 61
  const varint = (): number => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(batch.readUInt8(at++))
      value |= (byte & 0x7fn) << shift
      if (byte < 0x80n) return Number((value >> 1n) ^ -(value & 1n))
    }
  }
  const text = (): string => {
    const size = varint()
    at += size
    return batch.toString('utf8', at - size, at)
  }
  const records = Array.from({ length: count }, (_, index) => {
    const size = varint()
    const end = at + size
    assert.equal(batch.readInt8(at++), 0)
    const time = Number(first) + varint()
    assert.ok(time <= Number(last))
    assert.equal(varint(), index)
    assert.equal(text(), 'r1')
    const line = recordLineOf(text()) ?? ''
    assert.deepEqual([varint(), text()], [1, 'id'])
    const record = JSON.parse(line) as { readonly id: string; readonly time: string }
    assert.deepEqual([text(), time, at], [record.id, Date.parse(record.time), end])
    return { line }
  })
  assert.equal(at, batch.length)
  return { producer, sequence, records }
}
