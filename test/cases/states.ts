import { tokenState } from './arrangement.ts'
import { allSeen, ask, openHold, statusText, vote, type Observation } from './observation.ts'
import { settleOrHeld, type Exchange } from './exchange.ts'
import { loginStates } from './logins.ts'
import { neverItem } from './names.ts'
import { fail, inapplicable, pending } from './outcome.ts'
import { passkeyState } from './passkeys.ts'
import { opaqueOf } from './principals.ts'
import { linkAccounts } from './slack.ts'

/* `given.state` of the cases: what exists before the first step. */

const held = async ({ sender }: Observation, ref: string, as: string, target: string, how: 'async' | 'wait' = 'async'): Promise<Exchange> => {
  const exchange = openHold(sender, as, target, ref, '{}', how)
  await settleOrHeld(sender, exchange, 3_000)
  if (exchange.hold === undefined) fail(`the hold that the case begins with was not opened`)
  return exchange
}

/** Its requester waits, so that what a click sets free is seen to run. */
const heldForChat = async (seen: Observation): Promise<void> => {
  await linkAccounts(seen)
  await held(seen, '1', 'req-a', '/admin/users', 'wait')
}

/** The whole token must be good, or refusing a part of it would show nothing. */
const tokenExists = async ({ world }: Observation): Promise<void> => {
  const reply = await ask(world, 'http', `GET /public/x HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${opaqueOf('svc-a')}\r\nConnection: close\r\n\r\n`)
  if (statusText(reply) !== '200') fail(`the token itself was answered ${statusText(reply)}`)
}

const states: Readonly<Record<string, (seen: Observation) => Promise<void>>> = {
  'approval 1 is held': (seen) => (seen.world.slack === undefined ? held(seen, '1', 'req-a', '/admin/users').then(() => {}) : heldForChat(seen)),
  'approval 1 is held; slack is configured': heldForChat,
  'approval 1 is held; U-REQ-B is a member of the approvals channel but not an approver': heldForChat,
  'U-APPR-A was linked once through OIDC login': heldForChat,
  'approval 1 is held; teams is configured with app id app-1, tenant tenant-1': async (seen) => void (await held(seen, '1', 'req-a', '/admin/users')),
  'root-a may use break-glass on /admin/**; a reason of at least 20 characters is mandatory': async (seen) => void (await held(seen, '1', 'req-a', '/admin/users')),
  'approval other-1 exists for a different action of req-b and is approved': async (seen) => {
    const { hold } = await held(seen, 'other-1', 'req-b', '/admin/other')
    await vote(seen.world, 'appr-a', hold ?? '', 'approve')
  },
  ...loginStates,
  [passkeyState]: linkAccounts,
  [tokenState]: async (seen) => {
    await tokenExists(seen)
    for (const request of allSeen(seen.world)) seen.before.seen.add(request)
  },
  'approval 1 was at revision 1 in the tab and is at revision 2 now': async () => inapplicable(`${neverItem['edit'] ?? ''}; so there is no second revision of what is on the screen`),
}

/** Already so in the profile. */
const profile: ReadonlySet<string> = new Set(['idp-a and idp-b both publish a key with kid a1'])

export const setUp = async (seen: Observation, state: unknown): Promise<void> => {
  if (state === undefined || profile.has(String(state))) return
  const make = Object.hasOwn(states, String(state)) ? states[String(state)] : undefined
  if (make === undefined) pending(`nothing makes this state yet: ${String(state)}`)
  else await make(seen)
}
