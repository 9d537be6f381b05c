import { until } from '../../support/until.ts'
import { list, type Case, type Run, type Tree } from '../loader.ts'
import { draws, seedOf } from '../draws.ts'
import { fail } from '../outcome.ts'
import { startPgWorld, type PgWorld } from './pg-world.ts'
import type { Heard } from './relay.ts'
import { decide, observePg, playOf, sendPlay, settle, type PgObservation } from './play.ts'

/* Split invariance: however the bytes of a client are cut into segments, everybody sees the same. */

interface Outcome {
  readonly client: string
  readonly upstream: string
  readonly record: string
}

/** What differs from run to run by nature: numbers of processes, codes of holds, times, poison. */
const settled = (text: string): string => text.replaceAll(/hold_\w+|CS-[0-9A-Z]+|[0-9a-f]{16,}|sha256:\w+/g, '*')

/** What the server got of the client, without what the product asks for itself. */
const clientsOwn = ({ relay }: PgWorld, session: number): readonly Heard[] => {
  const found: Heard[] = []
  let asking = false
  for (const heard of relay.heard) {
    if (heard.connection !== session || heard.type === 'p') continue
    const isOurs = heard.body.includes('countersign_question')
    if (!isOurs && !(asking && heard.type === 'S')) found.push(heard)
    asking = isOurs || (asking && heard.type !== 'S')
  }
  return found
}

const outcome = async (place: PgWorld, theCase: Case, run: Run, stream: Tree, pieces: (bytes: Buffer) => readonly Buffer[]): Promise<Outcome> => {
  const seen: PgObservation = await observePg(theCase, run, place)
  const play = playOf(seen, stream, 'simple')
  const exchange = await sendPlay(seen, play, { ref: 'it', as: 'req-a', pieces: pieces(play.bytes) })
  for (let hold = await settle(seen, exchange); hold !== undefined; hold = await settle(seen, exchange)) await decide(seen, hold, 'deny')
  if (exchange.end === undefined) fail('no answer came')
  // Its last record may follow its last answer.
  const recorded = () => place.world.events().slice(seen.before.events)
  const count = (...types: readonly string[]): number => recorded().filter((event) => types.includes(event.type) && (event.type !== 'refused' || event.hold !== undefined)).length
  await until('the end of every action to be on record', () => count('finished') === count('started') && count('held') === count('released', 'refused'))
  const said = exchange.client.said.slice(exchange.from, exchange.end).filter(({ type }) => type !== 'N')
  const texts = clientsOwn(place, place.relay.open().at(-1) ?? fail('the session has no server'))
  exchange.client.end()
  return {
    client: settled(said.map(({ type, body }) => `${type} ${body.toString('latin1')}`).join('\n')),
    upstream: settled(texts.map(({ type, body }) => `${type} ${body.toString('latin1')}`).join('\n')),
    record: settled(recorded().map((event) => ('action' in event ? `${event.type} ${event.action.verb}` : event.type)).join('\n')),
  }
}

const whole = (bytes: Buffer): readonly Buffer[] => [bytes]
const single = (bytes: Buffer): readonly Buffer[] => Array.from(bytes, (byte) => Buffer.from([byte]))
const at = (place: number) => (bytes: Buffer): readonly Buffer[] => [bytes.subarray(0, place), bytes.subarray(place)]

const random = (draw: () => number) => (bytes: Buffer): readonly Buffer[] => {
  const pieces: Buffer[] = []
  for (let from = 0; from < bytes.length; ) {
    const length = 1 + Math.floor(draw() * 12)
    pieces.push(bytes.subarray(from, from + length))
    from += length
  }
  return pieces
}

export const checkSplits = async (theCase: Case, run: Run): Promise<void> => {
  await using place = await startPgWorld(run)
  const seed = seedOf()
  const draw = draws(seed)
  for (const [number, stream] of (list(run.item['streams']) as readonly Tree[]).entries()) {
    const wanted = await outcome(place, theCase, run, stream, whole)
    const { length } = playOf(await observePg(theCase, run, place), stream, 'simple').bytes
    const boundaries = Array.from({ length: length - 1 }, (_, index) => index + 1).filter((one) => one < 12 || one > length - 6 || one % 7 === 0)
    const cuts = [single, ...boundaries.map(at), ...Array.from({ length: 10 }, () => random(draw))]
    for (const [index, pieces] of cuts.entries()) {
      const got = await outcome(place, theCase, run, stream, pieces)
      for (const view of ['client', 'upstream', 'record'] as const) if (got[view] !== wanted[view]) fail(`stream ${number + 1}, cut ${index} (seed ${seed}): the ${view} saw\n${got[view]}\nnot\n${wanted[view]}`)
    }
  }
}
