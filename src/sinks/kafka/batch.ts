import { makeWriter } from './wire.ts'

export interface KafkaRecord {
  readonly key: string
  readonly id: string
  readonly value: string
  readonly at: number
}

/** Who writes, and the number of the batch's first record among all that it wrote: by these the broker leaves out what it has. */
export interface Place {
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

/*
 * Record batch, version 2:
 *
 *   base offset 8 │ length 4 │ leader epoch 4 │ magic 1 │ CRC-32C 4 │ attributes 2 │ last offset 4 │ first time 8 │ last time 8 │ producer 8 2 4 │ count 4 │ records
 *                                                         └ over all that follows
 */
export const recordBatch = (records: readonly KafkaRecord[], { producerId, epoch, sequence }: Place): Buffer => {
  const first = Math.min(...records.map(({ at }) => at))
  const last = Math.max(...records.map(({ at }) => at))
  const checked = makeWriter().int16(0).int32(records.length - 1).int64(BigInt(first)).int64(BigInt(last)).int64(producerId).int16(epoch).int32(sequence).int32(records.length)
  for (const [offset, record] of records.entries()) checked.raw(recordBytes(record, record.at - first, offset))
  const rest = checked.done()
  return makeWriter().int64(0n).int32(rest.length + 9).int32(-1).int8(2).int32(crc32c(rest) | 0).raw(rest).done()
}

const recordBytes = ({ key, id, value }: KafkaRecord, afterMs: number, offset: number): Buffer => {
  const sized = (text: string): Buffer => {
    const bytes = Buffer.from(text)
    return makeWriter().varint(bytes.length).raw(bytes).done()
  }
  const body = makeWriter().int8(0).varint(afterMs).varint(offset).raw(sized(key)).raw(sized(value)).varint(1).raw(sized('id')).raw(sized(id)).done()
  return makeWriter().varint(body.length).raw(body).done()
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

export const crc32c = (bytes: Uint8Array): number => {
  let value = 0xffffffff
  for (const byte of bytes) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0)
  return ~value >>> 0
}

/** As Kafka's own clients choose it for a key (murmur2), so that all who write under a key meet. */
export const partitionOf = (key: string, partitions: number): number => (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions

const murmur2 = (data: Buffer): number => {
  const m = 0x5bd1e995
  let hash = 0x9747b28c ^ data.length
  let at = 0
  for (; at + 4 <= data.length; at += 4) {
    let word = Math.imul(data.readInt32LE(at), m)
    word = Math.imul(word ^ (word >>> 24), m)
    hash = Math.imul(hash, m) ^ word
  }
  const left = data.length - at
  if (left >= 3) hash ^= (data[at + 2] ?? 0) << 16
  if (left >= 2) hash ^= (data[at + 1] ?? 0) << 8
  if (left >= 1) hash = Math.imul(hash ^ (data[at] ?? 0), m)
  hash = Math.imul(hash ^ (hash >>> 13), m)
  return hash ^ (hash >>> 15)
}
