/* The kinds of value that Kafka's protocol is made of. Big-endian throughout. */

export interface Writer {
  int8(value: number): Writer
  int16(value: number): Writer
  int32(value: number): Writer
  int64(value: bigint): Writer
  /** Zigzag, as in records. */
  varint(value: number): Writer
  text(value: string | null): Writer
  /** With its length in front. */
  bytes(value: Uint8Array): Writer
  /** As it is. */
  raw(value: Uint8Array): Writer
  done(): Buffer
}

export const makeWriter = (): Writer => {
  const parts: Uint8Array[] = []
  const fixed = (size: number, put: (to: Buffer) => void): Writer => {
    const part = Buffer.alloc(size)
    put(part)
    parts.push(part)
    return writer
  }
  const writer: Writer = {
    int8: (value) => fixed(1, (to) => to.writeInt8(value)),
    int16: (value) => fixed(2, (to) => to.writeInt16BE(value)),
    int32: (value) => fixed(4, (to) => to.writeInt32BE(value)),
    int64: (value) => fixed(8, (to) => to.writeBigInt64BE(value)),
    varint: (value) => {
      const bytes: number[] = []
      for (let left = ((value << 1) ^ (value >> 31)) >>> 0; ; left >>>= 7) {
        bytes.push(left > 0x7f ? (left & 0x7f) | 0x80 : left)
        if (left <= 0x7f) return writer.raw(Uint8Array.from(bytes))
      }
    },
    text: (value) => (value === null ? writer.int16(-1) : writer.int16(Buffer.byteLength(value)).raw(Buffer.from(value))),
    bytes: (value) => writer.int32(value.length).raw(value),
    raw: (value) => (parts.push(value), writer),
    done: () => Buffer.concat(parts),
  }
  return writer
}

export interface Reader {
  int8(): number
  int16(): number
  int32(): number
  int64(): bigint
  text(): string
  bytes(): Buffer
  /** Reads each item; no more than there can be in what is left. */
  list<T>(item: () => T): readonly T[]
}

/** Whatever does not fit into what there is throws. */
export const makeReader = (from: Buffer): Reader => {
  let at = 0
  const take = (size: number): number => {
    if (size < 0 || at + size > from.length) throw new Error('the broker sent an answer that does not read')
    at += size
    return at - size
  }
  const reader: Reader = {
    int8: () => from.readInt8(take(1)),
    int16: () => from.readInt16BE(take(2)),
    int32: () => from.readInt32BE(take(4)),
    int64: () => from.readBigInt64BE(take(8)),
    text: () => {
      const size = reader.int16()
      if (size <= 0) return ''
      const start = take(size)
      return from.toString('utf8', start, start + size)
    },
    bytes: () => {
      const size = reader.int32()
      if (size <= 0) return Buffer.alloc(0)
      const start = take(size)
      return from.subarray(start, start + size)
    },
    list: (item) => {
      const count = reader.int32()
      if (count > from.length - at) throw new Error('the broker sent an answer that does not read')
      return Array.from({ length: Math.max(count, 0) }, item)
    },
  }
  return reader
}
