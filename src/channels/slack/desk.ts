import type { HoldStore } from '../../approval/hold-store.ts'
import type { Links } from '../../identity/links.ts'
import { defined } from '../../lib/defined.ts'
import { causeText } from '../../model/refusal.ts'
import type { Hook } from '../hook.ts'
import { makeClicks, type ClickParts, type Clicks, type Response } from './clicks.ts'
import { readInteraction } from './interaction.ts'
import { makeInteractions } from './interactions.ts'
import { repeatsMs } from './signature.ts'
import type { SlackChannel } from './slack.ts'
import { makeSlackApi } from './slack-api.ts'
import type { Envelope } from './socket.ts'
import { makeSocketMode, type SocketMode, type SocketState, type SocketTiming } from './socket-mode.ts'

export interface SlackDeskParts extends Omit<ClickParts, 'links'> {
  readonly links: Pick<Links, 'whose' | 'known' | 'once'>
  readonly lease: HoldStore['lease']
  readonly replica: string
  readonly now: () => number
}

/** How clicks come in. */
export interface ClickState {
  readonly clicks: 'http' | SocketState
  readonly lastError?: string
  /** When one came to this replica; without one, nobody can say that they do. */
  readonly lastClickAt?: string
}

/** Where people's clicks are decided on. */
export interface SlackDesk extends AsyncDisposable {
  readonly hooks: readonly Hook[]
  /** Of each channel, by its name. */
  state(): ReadonlyMap<string, ClickState>
}

/** Clicks that are being decided on over one connection; of more nobody hears that they have arrived. */
const mostAtOnce = 50

export const makeSlackDesk = (channels: readonly SlackChannel[], parts: SlackDeskParts, timing?: SocketTiming): SlackDesk => {
  const { take, ...rest } = makeClicks(parts)
  const heard = new Map<string, string>()
  const clicks: Clicks = {
    ...rest,
    take(interaction, conversations) {
      const name = conversations.find(({ options }) => options.conversation === interaction.copy.channel)?.options.name
      if (name !== undefined) heard.set(name, new Date(parts.now()).toISOString())
      return take(interaction, conversations)
    },
  }
  const stateOf = (name: string, state: ClickState): readonly [string, ClickState] => [name, { ...state, ...defined({ lastClickAt: heard.get(name) }) }]
  const byHttp = channels.filter(({ options }) => options.interactivity?.by === 'http')
  const sockets = [...Map.groupBy(channels, appOf)].flatMap(([app, group]) => (app === undefined ? [] : [{ group, mode: openFor(group, clicks, parts, timing) }]))
  return {
    hooks: byHttp.length === 0 ? [] : [makeInteractions(byHttp, clicks, parts.links.once, parts.now)],
    state: () => new Map([...byHttp.map(({ name }) => stateOf(name, { clicks: 'http' })), ...sockets.flatMap(({ group, mode }) => group.map(({ name }) => stateOf(name, clickState(mode))))]),
    async [Symbol.asyncDispose]() {
      await Promise.all(sockets.map(({ mode }) => mode[Symbol.asyncDispose]()))
      await clicks[Symbol.asyncDispose]()
    },
  }
}

/** Channels of one app share its connections: a click may come over any of them. */
const appOf = ({ options: { interactivity, url } }: SlackChannel): string | undefined => (interactivity?.by === 'socket' ? `${url} ${interactivity.appToken.reveal()}` : undefined)

const clickState = (mode: SocketMode): ClickState => {
  const { state, ...more } = mode.state()
  return { clicks: state, ...more }
}

const openFor = (group: readonly SlackChannel[], clicks: Clicks, { links, lease, replica, log }: SlackDeskParts, timing: SocketTiming | undefined): SocketMode => {
  const first = group[0]
  if (first === undefined || first.options.interactivity?.by !== 'socket') throw new Error('no app')
  let open = 0
  const take = async ({ id, type, payload }: Envelope): Promise<Response> => {
    open++
    try {
      if (open > mostAtOnce) throw new Error('too many at one time')
      const interaction = type === 'interactive' ? readInteraction(payload) : undefined
      return interaction && (await links.once(`slack ${id}`, repeatsMs, () => clicks.take(interaction, group)))
    } catch (error) {
      log.warn({ channel: first.name, cause: causeText(error) }, 'a click could not be decided on, and Slack was not told that it arrived')
      throw error
    } finally {
      open--
    }
  }
  return makeSocketMode({ name: first.name, replica, lease, api: makeSlackApi(first.options, first.options.interactivity.appToken, first.delivery), apiUrl: first.options.url, take, log }, timing)
}
