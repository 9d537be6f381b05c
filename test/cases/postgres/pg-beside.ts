import { messageOf, send, settleOrHeld, type Sender } from '../exchange.ts'
import { isTree, type Tree } from '../loader.ts'
import { statesOf } from '../names.ts'
import { ask, statusText, viewOf, vote } from '../observation.ts'
import { fail, pending } from '../outcome.ts'
import { until } from '../../support/until.ts'
import type { World } from '../world.ts'
import type { PgObservation } from './play.ts'

/* What happens over HTTP while PostgreSQL is spoken: on the same replica, beside it. */

const senders = new WeakMap<PgObservation, Sender>()

export const senderOf = (seen: PgObservation): Sender => {
  const known = senders.get(seen)
  if (known !== undefined) return known
  const made: Sender = { world: seen.place.world, given: seen.run.given, exchanges: [], sockets: new Map(), ballot: (_target, _verdict, body) => body, hold: () => fail('no hold is named here') }
  senders.set(seen, made)
  return made
}

export const sendHttp = async (seen: PgObservation, given: Tree): Promise<void> => {
  const sender = senderOf(seen)
  await settleOrHeld(sender, send(sender, messageOf(given, sender), { ref: String(given['ref']) }), 8_000)
}

/** What was held on a session that no step plays is known by its name. */
export const holdOf = (seen: PgObservation, ref: string): string | undefined => senderOf(seen).exchanges.find((exchange) => exchange.ref === ref)?.hold ?? (seen.found.get(ref) as string | undefined)

/** Whether something was asked over HTTP that may expire. */
export const waitsOverHttp = (seen: PgObservation): boolean => senderOf(seen).exchanges.some(({ hold }) => hold !== undefined)

export const checkStates = async (seen: PgObservation, wanted: unknown): Promise<void> => {
  if (!isTree(wanted)) return pending('that state')
  for (const [ref, name] of Object.entries(wanted)) {
    const hold = holdOf(seen, ref) ?? fail(`${ref} has no hold`)
    const allowed: readonly string[] = statesOf[String(name)] ?? pending(`no state ${String(name)}`)
    const state = async (): Promise<string | undefined> => (await viewOf(seen.place.world, hold))?.state
    await until(`${ref} to be ${String(name)}`, async () => allowed.includes(String(await state()))).catch(async () => fail(`${ref} is ${await state()}, not ${String(name)}`))
  }
}

/** Somebody votes who does not know yet that it is too late. */
export const voteTooLate = async (seen: PgObservation, ref: string): Promise<void> => {
  const reply = await vote(seen.place.world, 'appr-a', holdOf(seen, ref) ?? fail(`${ref} has no hold`), 'approve')
  if (typeof reply !== 'object' || reply.status < 400) fail(`the vote was answered ${statusText(reply)}`)
}

const ownMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

export interface HealthWatch {
  /** The longest that an answer took, in milliseconds of this thread's own work: what the machine did meanwhile for others is no fault of ours. */
  stop(): Promise<number>
}

/** Asks for the health of the replica all the time. */
export const watchHealth = (world: World): HealthWatch => {
  let isOver = false
  let longest = 0
  const watching = (async () => {
    while (!isOver) {
      const [began, worked] = [performance.now(), ownMs()]
      const reply = await ask(world, 'admin', 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n', { withinMs: 10_000 })
      if (statusText(reply) !== '200') return Infinity
      longest = Math.max(longest, Math.min(performance.now() - began, ownMs() - worked))
    }
    return longest
  })()
  return {
    stop() {
      isOver = true
      return watching
    },
  }
}
