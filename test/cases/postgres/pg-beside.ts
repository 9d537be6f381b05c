import { setTimeout as pause } from 'node:timers/promises'
import { messageOf, send, settleOrHeld, type Sender } from '../exchange.ts'
import { isTree, type Tree } from '../loader.ts'
import { statesOf } from '../names.ts'
import { ask, statusText, viewOf, vote } from '../observation.ts'
import { working } from '../own-time.ts'
import { fail, pending } from '../outcome.ts'
import { inTheEnd, until } from '../../support/until.ts'
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
  await settleOrHeld(sender, send(sender, messageOf(given, sender), { ref: String(given['ref']) }), inTheEnd)
}

/** What was held on a session that no step plays is known by its name. */
export const holdOf = (seen: PgObservation, ref: string): string | undefined => senderOf(seen).exchanges.find((exchange) => exchange.ref === ref)?.hold ?? (seen.found.get(ref) as string | undefined)

/** Whether something was asked over HTTP that may expire. */
export const waitsOverHttp = (seen: PgObservation): boolean => senderOf(seen).exchanges.some(({ hold }) => hold !== undefined)

/** Until when what was asked there waits for a decision. */
export const deadlineOverHttp = async (seen: PgObservation): Promise<number> => {
  const hold = senderOf(seen).exchanges.find((exchange) => exchange.hold !== undefined)?.hold ?? fail('nothing was held over HTTP')
  return Date.parse(String((await viewOf(seen.place.world, hold))?.['deadline']))
}

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

export interface HealthWatch {
  /** The longest that an answer took of the replica's time, in milliseconds: what the machine did meanwhile for others, the clients among them, is no fault of its. */
  stop(): Promise<number>
}

/** Asks for the health of the replica all the time: of one that has its process for itself. */
export const watchHealth = (world: World): HealthWatch => {
  const { first, processes } = world
  const pid = processes?.pid(first().name) ?? fail('this replica shares its process')
  let isOver = false
  let longest = 0
  const watching = (async () => {
    while (!isOver) {
      const before = working(pid)
      const reply = await ask(world, 'admin', 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n', { withinMs: 10_000 })
      if (statusText(reply) !== '200') return Infinity
      longest = Math.max(longest, working(pid) - before)
      await pause(5)
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
