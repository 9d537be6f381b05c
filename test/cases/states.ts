import { openHold, vote, type Observation } from './observation.ts'
import { settleOrHeld, type Exchange } from './exchange.ts'
import { fail, pending } from './outcome.ts'

/* `given.state` of the cases: what exists before the first step. */

const held = async ({ sender }: Observation, ref: string, as: string, target: string): Promise<Exchange> => {
  const exchange = openHold(sender, as, target, ref)
  await settleOrHeld(sender, exchange, 3_000)
  if (exchange.hold === undefined) fail(`the hold that the case begins with was not opened`)
  return exchange
}

const states: Readonly<Record<string, (seen: Observation) => Promise<void>>> = {
  'approval 1 is held': async (seen) => void (await held(seen, '1', 'req-a', '/admin/users')),
  'approval other-1 exists for a different action of req-b and is approved': async (seen) => {
    const { hold } = await held(seen, 'other-1', 'req-b', '/admin/other')
    await vote(seen.world, 'appr-a', hold ?? '', 'approve')
  },
  'approval 1 was at revision 1 in the tab and is at revision 2 now': async () => pending('a held action is never edited, so a hold has no second revision of it'),
}

/** Already so in the profile. */
const profile: ReadonlySet<string> = new Set(['idp-a and idp-b both publish a key with kid a1'])

export const setUp = async (seen: Observation, state: unknown): Promise<void> => {
  if (state === undefined || profile.has(String(state))) return
  const make = Object.hasOwn(states, String(state)) ? states[String(state)] : undefined
  if (make === undefined) pending(`nothing makes this state yet: ${String(state)}`)
  else await make(seen)
}
