import { randomBytes } from 'node:crypto'
import type { Post } from '../../../src/channels/hook.ts'
import { makeSlackDesk } from '../../../src/channels/slack/desk.ts'
import type { SlackOptions } from '../../../src/channels/slack/options.ts'
import { makeSlack } from '../../../src/channels/slack/slack.ts'
import type { SocketTiming } from '../../../src/channels/slack/socket-mode.ts'
import { makeLinkTickets } from '../../../src/identity/link-ticket.ts'
import type { LinkStore } from '../../../src/identity/link-store.ts'
import { makeLinks } from '../../../src/identity/links.ts'
import { makeSealing } from '../../../src/lib/sealing.ts'
import type { AuditEvent } from '../../../src/model/audit-event.ts'
import type { Caller } from '../../../src/model/caller.ts'
import type { Terms } from '../../../src/model/decision.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { Refusal } from '../../../src/model/refusal.ts'
import { openEmbeddedLinkStore } from '../../../src/stores/embedded/link-store.ts'
import { agent, alice, bob, carol, makeWorld, requirement, terms } from '../../approval/world.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { clickOf, signed, startFakeSlack, submissionOf, type Clicker, type Message, type View } from './fake-slack.ts'
import { buttonOf } from './fake-slack.ts'
import { consoleUrl, slackOptions } from './sample.ts'

export const hour = 3_600_000
export const chatTerms = (over: Partial<Terms> = {}): Terms => terms([requirement({ assurance: 'chat' })], over)
export const known: Readonly<Record<string, Caller>> = { U0ALICE: alice, U0BOB: bob, U0CAROL: carol }

export interface Reply {
  readonly status: number
  readonly body?: unknown
}

/** Holds, a workspace of Slack, and people whose accounts are linked. */
export const startDeskWorld = async (over: Partial<SlackOptions> = {}, { sockets, replicas = ['a'] }: { readonly sockets?: SocketTiming; readonly replicas?: readonly string[] } = {}) => {
  await using making = new AsyncDisposableStack()
  const folder = making.use(temporaryFolder('slack'))
  const slack = making.use(await startFakeSlack())
  const world = making.use(await makeWorld())
  const time = { skewMs: 0 }
  const now = () => Date.now() + time.skewMs
  const store = making.use(openEmbeddedLinkStore({ kind: 'embedded', path: `${folder.path}/holds.db` }, { clockSkewMs: () => time.skewMs }))
  const sealing = makeSealing([randomBytes(32)])
  /** Whether the store of links answers. */
  const fault = { links: false }
  const faulty = new Proxy(store, { get: (of, name: keyof LinkStore) => (typeof of[name] !== 'function' || typeof name === 'symbol' ? of[name] : (...args: never[]) => (fault.links ? Promise.reject(new Refusal('store-unavailable', 'away')) : (of[name] as (...all: never[]) => unknown)(...args))) })
  const links = makeLinks({ store: faulty, sealing, identity: { standing: () => 'same' }, now })
  const tickets = makeLinkTickets(sealing, now)
  const noted: AuditEvent[] = []
  const log: string[] = []
  const options = slackOptions(slack.url, over)
  const desks = replicas.map((replica) => {
    const channel = making.use(makeSlack(options, () => consoleUrl, { info: () => {}, warn: (_detail, text) => void log.push(text), error: () => {} }, 0))
    const desk = making.use(makeSlackDesk([channel], { approvals: world.a.life, links, tickets, consoleUrl: () => consoleUrl, note: (event) => void noted.push(event), log: { info: () => {}, warn: (_detail, text) => void log.push(text), error: () => {} }, lease: (...args) => world.a.store.lease(...args), replica, now }, sockets))
    return { channel, desk }
  })
  const { channel, desk } = desks[0]!
  for (const [user, person] of Object.entries(known)) {
    slack.users.set(user, {})
    await links.see(person)
    await links.link({ chat: 'slack', workspace: 'T0HOME', user }, person, 30 * 24 * hour)
  }

  const posted = new Map<string, string | undefined>()
  /** Tells the channel how the hold is now. */
  const show = async (hold: Hold): Promise<Message> => {
    const latest = await world.a.life.show(hold.id, { ...agent, kind: 'agent' }).catch(() => hold)
    posted.set(hold.id, await channel.show({ hold: latest, occasion: 'change', memory: posted.get(hold.id) }, new AbortController().signal))
    return slack.messages.at(-1)!
  }
  const post = async ({ body, headers }: { readonly body: string | Buffer; readonly headers: Readonly<Record<string, string>> }): Promise<Reply> => {
    const given: Post = { headers: (name) => (headers[name] === undefined ? [] : [headers[name]]), body: Buffer.from(body), address: '127.0.0.1' }
    return await desk.hooks[0]!.answer(given)
  }
  const click = (who: Clicker, message: Message, button: string, more: object = {}): Promise<Reply> => post(signed(clickOf(who, message, buttonOf(message, button), more), { at: now() }))
  const submit = (who: Clicker, view: View, reason: string | null): Promise<Reply> => post(signed(submissionOf(who, view, reason), { at: now() }))
  const stateOf = async (hold: Hold) => (await world.a.life.show(hold.id, carol)).state
  const ends = making.move()
  return { slack, world, links, tickets, noted, log, time, fault, options, desks, show, post, click, submit, stateOf, opened: (text = 'POST /exports', needs = chatTerms()) => world.opened(text, agent, needs), [Symbol.asyncDispose]: () => ends[Symbol.asyncDispose]() }
}
