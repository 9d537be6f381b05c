import { makeReader, makeWriter, type Writer } from './wire.ts'

/** One thing that is asked of a broker: which API, in which version, with what, and how its answer reads. */
export interface Request<T> {
  readonly api: number
  readonly version: number
  readonly body: Buffer
  readonly read: (answer: Buffer) => T
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** Errors by their number; others are told by it. */
const names: Readonly<Record<number, string>> = {
  1: 'OFFSET_OUT_OF_RANGE', 2: 'CORRUPT_MESSAGE', 3: 'UNKNOWN_TOPIC_OR_PARTITION', 5: 'LEADER_NOT_AVAILABLE', 6: 'NOT_LEADER_OR_FOLLOWER', 7: 'REQUEST_TIMED_OUT', 10: 'MESSAGE_TOO_LARGE', 17: 'INVALID_TOPIC', 18: 'RECORD_LIST_TOO_LARGE', 19: 'NOT_ENOUGH_REPLICAS', 20: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  29: 'TOPIC_AUTHORIZATION_FAILED', 31: 'CLUSTER_AUTHORIZATION_FAILED', 32: 'INVALID_TIMESTAMP', 33: 'UNSUPPORTED_SASL_MECHANISM', 34: 'ILLEGAL_SASL_STATE', 35: 'UNSUPPORTED_VERSION', 45: 'OUT_OF_ORDER_SEQUENCE_NUMBER', 46: 'DUPLICATE_SEQUENCE_NUMBER', 47: 'INVALID_PRODUCER_EPOCH', 56: 'KAFKA_STORAGE_ERROR', 58: 'SASL_AUTHENTICATION_FAILED', 59: 'UNKNOWN_PRODUCER_ID', 87: 'INVALID_RECORD', 89: 'THROTTLING_QUOTA_EXCEEDED',
}
export const errorName = (code: number): string => names[code] ?? `error ${code}`

const failing = (code: number, what: string): void => {
  if (code !== 0) throw new Error(`${what}: ${errorName(code)}`)
}

const asking = (write: (to: Writer) => Writer): Buffer => write(makeWriter()).done()

export interface Partition {
  readonly index: number
  readonly leader: Address
}

/** Where each partition of the topic is led. The topic is not made: whoever owns the cluster says how it is kept. */
export const metadata = (topic: string): Request<readonly Partition[]> => ({
  api: 3,
  version: 5,
  body: asking((to) => to.int32(1).text(topic).int8(0)),
  read: (answer) => {
    const from = makeReader(answer)
    from.int32()
    const brokers = new Map(from.list(() => [from.int32(), { host: from.text(), port: from.int32(), rack: from.text() }] as const))
    from.text()
    from.int32()
    const [found] = from.list(() => {
      const error = from.int16()
      from.text()
      from.int8()
      return { error, partitions: from.list(() => ({ error: from.int16(), index: from.int32(), leader: from.int32(), all: [from.list(from.int32), from.list(from.int32), from.list(from.int32)] })) }
    })
    failing(found?.error ?? 3, `the topic ${topic}`)
    return (found?.partitions ?? []).map(({ index, leader }) => {
      const broker = brokers.get(leader)
      if (broker === undefined) throw new Error(`the topic ${topic}: ${errorName(5)}`)
      return { index, leader: { host: broker.host, port: broker.port } }
    })
  },
})

export const initProducerId: Request<{ readonly producerId: bigint; readonly epoch: number }> = {
  api: 22,
  version: 1,
  body: asking((to) => to.text(null).int32(60_000)),
  read: (answer) => {
    const from = makeReader(answer)
    from.int32()
    failing(from.int16(), 'a name for what writes')
    return { producerId: from.int64(), epoch: from.int16() }
  },
}

export interface Produced {
  readonly error: number
  readonly throttleMs: number
}

/** All replicas in sync must have it. */
export const produce = (topic: string, partition: number, batch: Buffer, timeoutMs: number): Request<Produced> => ({
  api: 0,
  version: 8,
  body: asking((to) => to.text(null).int16(-1).int32(timeoutMs).int32(1).text(topic).int32(1).int32(partition).bytes(batch)),
  read: (answer) => {
    const from = makeReader(answer)
    const [{ partitions: [done] } = { partitions: [] }] = from.list(() => {
      const named = from.text()
      const partitions = from.list(() => {
        const index = from.int32()
        const error = from.int16()
        for (const _ of ['offset', 'append time', 'log start']) from.int64()
        from.list(() => [from.int32(), from.text()])
        from.text()
        return { index, error }
      })
      return { named, partitions: named === topic ? partitions : [] }
    })
    if (done?.index !== partition) throw new Error('the broker answered about something else')
    return { error: done.error, throttleMs: from.int32() }
  },
})

export const saslHandshake = (mechanism: string): Request<void> => ({
  api: 17,
  version: 1,
  body: asking((to) => to.text(mechanism)),
  read: (answer) => failing(makeReader(answer).int16(), `login by ${mechanism}`),
})

export const saslAuthenticate = (message: string): Request<string> => ({
  api: 36,
  version: 1,
  body: asking((to) => to.bytes(Buffer.from(message))),
  read: (answer) => {
    const from = makeReader(answer)
    failing(from.int16(), 'login')
    from.text()
    return from.bytes().toString()
  },
})
