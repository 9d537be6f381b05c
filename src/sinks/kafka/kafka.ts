import { setTimeout as pause } from 'node:timers/promises'
import { lineHead } from '../../audit/line.ts'
import { isForbiddenHost } from '../../lib/outbound-address.ts'
import type { OptionsOf } from '../options.ts'
import { LineRefused, type Sink, type SinkLine } from '../sink.ts'
import { type KafkaRecord, partitionOf, type Place, recordBatch } from './batch.ts'
import { type Connection, openConnection } from './connection.ts'
import { type Address, errorName, initProducerId, metadata, type Partition, produce } from './requests.ts'

/** About the records: too large, too many bytes together, a time that the topic does not take, or against a rule of the topic. */
const aboutRecords: ReadonlySet<number> = new Set([10, 18, 32, 87])
/** The broker lost count of us, or we of it: a new name begins anew. */
const lostCount: ReadonlySet<number> = new Set([45, 47, 59])
const isThere = 46
const mostSequence = 0x7fff_ff00

interface Led {
  readonly connection: Connection
  readonly partition: number
}

/**
 * Kafka, as an idempotent producer with acks=all. The key is the replica, so one replica's records are in one partition, in order; the header `id` is the record's.
 * A batch whose answer got lost is sent again with its number, and a broker that has it leaves it out. What only a restart of ours repeats is repeated with its id.
 */
export const makeKafkaSink = (options: OptionsOf<'kafka'>): Sink => {
  let led: Led | undefined
  let place: Place | undefined
  /** Sent, and nobody knows whether it arrived. */
  let unsure: string | undefined
  let rested = 0

  const forget = (): void => {
    led?.connection.end()
    led = undefined
  }

  const send = async (lines: readonly SinkLine[], signal: AbortSignal): Promise<void> => {
    const records = lines.map((line) => recordOf(line, keyOf(lines)))
    const to = (led = led?.connection.isOpen() === true ? led : await findLeader(keyOf(lines), options, signal))
    const batchName = `${lines[0]?.id} ${lines.length}`
    // Another batch under a number that may be taken would be taken for the first one.
    if (unsure !== undefined && unsure !== batchName) place = undefined
    place ??= { ...(await to.connection.ask(initProducerId, signal)), sequence: 0 }
    unsure = batchName
    const { error, throttleMs } = await to.connection.ask(produce(options.topic, to.partition, recordBatch(records, place), options.timeoutMs), signal)
    rested = Date.now() + Math.min(throttleMs, options.timeoutMs)
    if (error === 0 || error === isThere) {
      unsure = undefined
      place = place.sequence + lines.length > mostSequence ? undefined : { ...place, sequence: place.sequence + lines.length }
      return
    }
    if (lostCount.has(error)) place = unsure = undefined
    if (!aboutRecords.has(error)) throw new Error(errorName(error))
    unsure = undefined
    throw new LineRefused(errorName(error))
  }

  return {
    // As OCSF it is up to three times as much, and a topic takes 1 MiB at a time if nobody says otherwise.
    limits: { lines: 500, bytes: 256 * 1024 },
    timeoutMs: 3 * options.timeoutMs,
    deliver: async (lines, signal) => {
      if (rested > Date.now()) await pause(rested - Date.now(), undefined, { signal })
      try {
        await send(lines, AbortSignal.any([signal, AbortSignal.timeout(2 * options.timeoutMs)]))
      } catch (error) {
        // Another broker may lead by now, and this one may hang.
        if (!(error instanceof LineRefused)) forget()
        throw error
      }
    },
    check: async (signal) => {
      const { connection } = (led = await findLeader('', options, signal))
      await connection.ask(initProducerId, signal)
      return `${options.topic} is there, and we may write`
    },
    [Symbol.asyncDispose]: async () => forget(),
  }
}

/** The replica. What is no line of ours goes with its neighbours. */
const keyOf = (lines: readonly SinkLine[]): string => (lines.find(({ seq }) => seq >= 0)?.id ?? 'damaged').split('/', 1)[0] ?? ''

const recordOf = ({ id, text, sent }: SinkLine, key: string): KafkaRecord => {
  const at = Date.parse(lineHead(text)?.time ?? '')
  return { key, id, value: sent, at: Number.isFinite(at) ? at : Date.now() }
}

/** Asks the configured brokers one after the other who leads the partition of the key, and goes there. */
const findLeader = async (key: string, options: OptionsOf<'kafka'>, signal: AbortSignal): Promise<Led> => {
  let last: unknown = new Error('no broker is configured')
  for (const broker of options.brokers) {
    let first: Connection | undefined
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(options.timeoutMs / options.brokers.length))])
      first = await openConnection(broker, options, within)
      const partitions = await first.ask(metadata(options.topic), within)
      const { index, leader } = leaderOf(key, partitions)
      if (sameAddress(leader, broker)) return { connection: first, partition: index }
      first.end()
      mayCall(leader, options)
      return { connection: await openConnection(leader, options, signal), partition: index }
    } catch (error) {
      first?.end()
      signal.throwIfAborted()
      last = error
    }
  }
  throw last
}

const leaderOf = (key: string, partitions: readonly Partition[]): Partition => {
  const wanted = partitionOf(key, partitions.length)
  const found = partitions.find(({ index }) => index === wanted)
  if (found === undefined) throw new Error(`partition ${wanted} has no leader`)
  return found
}

const sameAddress = (a: Address, b: Address): boolean => a.host === b.host && a.port === b.port

/** Brokers say where they are; they do not say where we may go. */
const mayCall = ({ host }: Address, { hosts }: OptionsOf<'kafka'>): void => {
  if (isForbiddenHost(host)) throw new Error(`a broker calls itself ${host}, which is an address that we do not call`)
  if (hosts !== undefined && !hosts.includes(host.toLowerCase())) throw new Error(`a broker calls itself ${host}, which outbound.hosts does not name`)
}
