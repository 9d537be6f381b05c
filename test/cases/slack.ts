import { createHmac } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { linkKeys } from '../../src/config/deployment-keys.ts'
import { makeLinks } from '../../src/identity/links.ts'
import { makeSealing } from '../../src/lib/sealing.ts'
import { openEmbeddedLinkStore } from '../../src/stores/embedded/link-store.ts'
import { openRedisLinkStore } from '../../src/stores/redis/link-store.ts'
import { clickOf, startFakeSlack, tokens, type FakeSlack } from '../channels/slack/fake-slack.ts'
import { startReceiver, type Receiver } from '../channels/webhook/receiver.ts'
import { inTheEnd } from '../support/until.ts'
import { digestOfHold, send, settleOrHeld, type Exchange } from './exchange.ts'
import { isTree, list, type Tree } from './loader.ts'
import { api, ask, exchangeOf, holdOf, openHold, statusText, type Observation } from './observation.ts'
import { fail, pending } from './outcome.ts'
import { issuerUrls, makeToken, userOf } from './principals.ts'
import type { Profile } from './profile.ts'
import { expand } from './text.ts'
import { escalationGroup, put } from './translate.ts'

/* Clicks on messages in Slack, as Slack posts them to the console. */

const workspace = 'T0HOME'
const clientId = 'countersign'

/** Who the accounts of the cases are. Those that carry a flag belong to approvers: without the flag their click would count. */
const owners: Readonly<Record<string, string>> = { 'U-APPR-A': 'appr-a', 'U-GUEST': 'appr-b', 'U-STRANGER': 'both-a', 'U-BOT': 'root-a' }

export interface SlackPlace {
  readonly fake: FakeSlack
  /** Principals by the accounts that are theirs. */
  readonly linked: Readonly<Record<string, string>>
  /** Where those are told to whom a hold escalates. */
  readonly next?: Receiver
}

/** Approvals by chat are good enough where a chat is looked at. */
export const startSlackFor = async ({ state, settings }: Tree) => {
  const escalates = isTree(settings) && 'escalate_after' in settings
  const next = escalates ? await startReceiver() : undefined
  const fake = await startFakeSlack()
  for (const user of [...Object.keys(owners), 'U-REQ-B', 'U-UNKNOWN']) fake.users.set(user, {})
  const linked = { ...owners, ...(String(state).includes('U-REQ-B is a member') ? { 'U-REQ-B': 'req-b' } : {}) }
  return {
    fake,
    linked,
    ...(next === undefined ? {} : { next }),
    env: { CASES_SLACK: tokens.bot, CASES_SIGNING: tokens.signing },
    change({ config, policies }: Profile): void {
      put(config, ['listeners', 'console', 'sign-in'], { issuer: 'idp-a', 'client-id': clientId })
      put(config, ['channels', 'chat'], { kind: 'slack', url: fake.url, 'private-addresses': true, channel: 'C0APPROVALS', token: '${env:CASES_SLACK}', 'signing-secret': '${env:CASES_SIGNING}', workspaces: [workspace], payload: 'full' })
      if (next !== undefined) put(config, ['channels', 'next'], { kind: 'webhook', url: next.url, 'private-addresses': true, only: { groups: [escalationGroup] } })
      for (const rule of policies.flatMap(({ rules }) => rules)) if (rule.then === 'hold' && (rule['approval'] as Tree)['assurance'] === undefined) put(rule, ['approval', 'assurance'], 'chat')
    },
    async [Symbol.asyncDispose]() {
      await fake[Symbol.asyncDispose]()
      await next?.[Symbol.asyncDispose]()
    },
  }
}

/** Everybody logs in once, and says which account is theirs. */
export const linkAccounts = async ({ world }: Pick<Observation, 'world'>): Promise<void> => {
  if (world.slack === undefined) return
  const { config } = world.first()
  await using store = config.store.kind === 'embedded' ? openEmbeddedLinkStore(config.store) : openRedisLinkStore(config.store)
  const links = makeLinks({ store, sealing: makeSealing(linkKeys(config)), identity: { standing: () => undefined }, now: () => world.now() })
  for (const [user, name] of Object.entries(world.slack.linked)) {
    const known = await api(world, name, 'GET', '/api/whoami')
    if (statusText(known) !== '200') fail(`${name} was answered ${statusText(known)}`)
    await links.link({ chat: 'slack', workspace, user }, { issuer: issuerUrls['idp-a'] ?? '', subject: userOf(name) }, 3_600_000)
  }
}

interface Signed {
  readonly body: string
  readonly headers: readonly string[]
}

export const sign = (payload: object, given: Tree, seen: Pick<Observation, 'world' | 'sender'>): Signed => {
  const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
  const stamp = given['timestamp'] === undefined ? Math.floor(seen.world.now() / 1_000) : Number(expand(String(given['timestamp']), seen.sender))
  const digest = (secret: string): string => createHmac('sha256', secret).update(`v0:${stamp}:${body}`).digest('hex')
  const good = digest(tokens.signing)
  const how = String(given['signature'])
  const kinds: Readonly<Record<string, string | undefined>> = { 'valid': `v0=${good}`, 'missing': undefined, 'signed-with-other-secret': `v0=${digest('another secret')}`, 'v1=valid-digest': `v1=${good}`, 'valid-but-truncated': `v0=${good.slice(0, 40)}` }
  const signature = Object.hasOwn(kinds, how) ? kinds[how] : expand(how, seen.sender)
  return { body, headers: [...(signature === undefined ? [] : [`X-Slack-Signature: ${signature}`]), ...(given['timestamp_header'] === 'missing' ? [] : [`X-Slack-Request-Timestamp: ${stamp}`])] }
}

export const postToSlackHook = ({ body, headers }: Signed): string => [`POST /slack/interactions HTTP/1.1`, 'Host: console.test', 'Content-Type: application/x-www-form-urlencoded', ...headers, `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close', '', body].join('\r\n')

/** Bytes by the id that an item gives its click: the same id is the very same message. */
const repeated = new WeakMap<FakeSlack, Map<string, Signed>>()

/** One click, as an item of the cases says. */
export const clickInSlack = async (seen: Observation, given: Tree, ref: string): Promise<Exchange> => {
  const { world, sender } = seen
  const { fake } = world.slack ?? fail('there is no Slack')
  const { action, approval, user, user_flags: flags, id } = given
  if (flags !== undefined) fake.users.set(String(user), Object.fromEntries(list(flags).map((flag) => [String(flag), true])))
  const hold = holdOf(seen, String(approval))
  const message = await shown(fake, hold)
  const kind = action === 'approve' ? 'approve' : action === 'reject' ? 'deny' : pending(`no way to click ${String(action)}`)
  const payload = clickOf({ user: String(user), team: workspace }, message, { action_id: `countersign.${kind}`, value: `${hold}.${digestOfHold(world, hold)}` })
  const known = repeated.get(fake) ?? repeated.set(fake, new Map()).get(fake) ?? new Map<string, Signed>()
  const signed = id === undefined ? sign(payload, given, seen) : (known.get(String(id)) ?? sign(payload, given, seen))
  if (id !== undefined) known.set(String(id), signed)
  const exchange = send(sender, { bytes: Buffer.from(postToSlackHook(signed)), method: 'POST', listener: 'console', as: undefined, user: undefined, absent: false }, { ref })
  exchange.reply = await exchange.wire.reply(exchange.index, inTheEnd, 'POST')
  return exchange
}

/** The message about a hold, once it is there. */
export const shown = async ({ messages }: FakeSlack, hold: string) => {
  const end = performance.now() + inTheEnd
  for (;;) {
    const found = messages.find(({ blocks }) => JSON.stringify(blocks).includes(hold))
    if (found !== undefined) return found
    if (performance.now() > end) return fail('no message about the hold came')
    await pause(20)
  }
}

/** A vote of a step that comes in by a click. Slack is answered 200 whatever comes of it; that it does not count is told to who clicked, and is their 403. */
export const voteInSlack = async (seen: Observation, by: string, ref: string, verdict: 'approve' | 'deny'): Promise<NonNullable<Exchange['reply']>> => {
  const { fake } = seen.world.slack ?? fail('there is no Slack')
  await linkAccounts(seen)
  const { reply } = await clickInSlack(seen, { action: verdict === 'approve' ? 'approve' : 'reject', approval: ref, user: `U-${by.toUpperCase()}`, signature: 'valid' }, `click-${ref}`)
  if (typeof reply !== 'object' || reply.status !== 200) return reply ?? 'silent'
  const counted = (): boolean => seen.world.events().some((event) => event.type === 'voted' && event.hold === holdOf(seen, ref) && event.vote.channel === 'slack')
  for (const end = performance.now() + 3_000; !counted() && fake.whispers.length === 0; await pause(20)) if (performance.now() > end) fail('nothing came of the click')
  return counted() ? reply : { ...reply, status: 403 }
}

/** Somebody approves by a click while the requester is gone; then something happens to the message. */
export const approveThen = async (seen: Observation, mishap: 'deleted' | 'edited' | 'gone before it is drawn anew'): Promise<void> => {
  const { fake } = seen.world.slack ?? fail('there is no Slack')
  await linkAccounts(seen)
  const exchange = openHold(seen.sender, 'req-a', '/admin/users', '1')
  await settleOrHeld(seen.sender, exchange, 3_000)
  const message = await shown(fake, exchange.hold ?? fail('nothing was held'))
  if (mishap === 'gone before it is drawn anew') fake.answers.set('chat.update', ['message_not_found'])
  const click = await clickInSlack(seen, { action: 'approve', approval: 1, user: 'U-APPR-A', signature: 'valid' }, 'click')
  if (statusText(click.reply) !== '200') fail(`the click was answered ${statusText(click.reply)}`)
  const over = (): boolean => (mishap === 'gone before it is drawn anew' ? seen.world.log.some(({ msg }) => msg === 'the message of a hold is not there any more') : JSON.stringify(message.blocks).includes('Approved: '))
  for (const end = performance.now() + inTheEnd; !over(); await pause(20)) if (performance.now() > end) fail('the message was not drawn anew')
  if (mishap === 'deleted') fake.messages.length = 0
  if (mishap === 'edited') message.blocks = []
}

/** An account that is switched off: the issuer says that all its logins are over. */
export const switchOff = async ({ world }: Observation, name: string): Promise<void> => {
  const token = makeToken({ header: { typ: 'logout+jwt' }, claims: { sub: userOf(name), aud: clientId, jti: `off-${name}`, events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, remove: ['email', 'email_verified', 'groups', 'nbf'] }, world.now())
  const body = new URLSearchParams({ logout_token: token }).toString()
  const reply = await ask(world, 'console', [`POST /oauth2/backchannel-logout HTTP/1.1`, 'Host: console.test', 'Content-Type: application/x-www-form-urlencoded', `Content-Length: ${body.length}`, 'Connection: close', '', body].join('\r\n'), { method: 'POST' })
  if (statusText(reply) !== '200') fail(`the end of all logins was answered ${statusText(reply)}${typeof reply === 'object' ? ` (${reply.body.toString().slice(0, 200)})` : ''}`)
}

/** Nobody but the one who clicked was told anything, and the message stands as it stood. */
export const toldNobodyElse = async ({ world, sender }: Observation): Promise<void> => {
  const { fake } = world.slack ?? fail('there is no Slack')
  const end = performance.now() + 3_000
  while (fake.whispers.length === 0) {
    if (performance.now() > end) fail('whoever clicked heard nothing')
    await pause(20)
  }
  const clicker = /%22id%22%3A%22(U[A-Z-]+)%22/.exec(exchangeOf(sender, 'click')?.sent.bytes.toString() ?? '')?.[1]
  if (fake.whispers.some(({ user }) => user !== clicker)) fail('somebody else was told')
  if (fake.messages.some(({ changes, thread }) => changes > 0 || thread !== undefined)) fail('the message changed for everybody')
}
