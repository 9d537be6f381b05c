import { makeTeamsBot } from '../../src/channels/teams/bot.ts'
import { makeTeamsWebhook } from '../../src/channels/teams/workflow.ts'
import { makeOutgoing } from '../../src/channels/webhook/outgoing.ts'
import { readSigningKey } from '../../src/channels/webhook/signing.ts'
import { stateText } from '../../src/channels/words.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Channel } from '../../src/approval/channel.ts'
import type { Hold, HoldState } from '../../src/model/hold.ts'
import { cardProblems, textsOf } from '../channels/teams/card-rules.ts'
import { startTeams } from '../channels/teams/fake-teams.ts'
import { silent } from '../channels/web/hold-desk.ts'
import { startReceiver, type Received } from '../channels/webhook/receiver.ts'
import { channelContract, type Place } from './channel-contract.ts'

const consoleUrl = (): string => 'https://approvals.example.org'
const seed = `whsk_${Buffer.alloc(32, 7).toString('base64')}`
const common = { name: 'place', interest: {}, timeoutMs: 2_000, privateAddresses: true }

interface Reading {
  readonly connect: (url: string) => Channel
  /** What is wrong with a message. */
  readonly check?: (received: Received) => string | undefined
  /** The id of the hold that a message is about. */
  readonly about: (received: Received) => string
  readonly state: (received: Received) => string
  /** Equal for what a receiver takes for a repeat. */
  readonly identity: (received: Received) => string
  readonly word?: (state: HoldState) => string
  readonly secrets?: readonly string[]
  readonly showsText: boolean
}

/** A receiver that takes one message after the other and changes none. */
const messages = (reading: Reading) => async (): Promise<Place> => {
  const receiver = await startReceiver(reading.check)
  let down = false
  const taken = ({ id }: Hold): readonly Received[] => receiver.taken.filter((received) => reading.about(received) === id)
  return {
    connect: () => reading.connect(receiver.url),
    stands: (hold) => taken(hold).map(reading.state).at(-1),
    word: reading.word ?? ((state) => state),
    count: (hold) => new Set(taken(hold).map(reading.identity)).size,
    get sent() {
      return [...receiver.taken, ...receiver.refused].toSorted((a, b) => a.at - b.at)
    },
    get wrong() {
      return receiver.refused.flatMap((received) => reading.check?.(received) ?? [])
    },
    busyOnce: () => void receiver.answers.push([429, { 'retry-after': '1' }]),
    get down() {
      return down
    },
    set down(value) {
      down = value
      receiver.usual = value ? 500 : 202
    },
    secrets: reading.secrets ?? [],
    showsText: reading.showsText,
    mostBytes: 20_000,
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  }
}

const dataOf = ({ body }: Received) => body['data'] as { hold: string }

channelContract('webhook', messages({
  connect: (url) => makeOutgoing({ kind: 'webhook', ...common, url, payload: 'summary', secrets: [new Secret(seed)] }, consoleUrl, readSigningKey(seed)!),
  about: (received) => dataOf(received).hold,
  state: ({ body }) => String(body['type']).slice(5).replace(/^(?:opened|changed|reminder)$/, 'pending'),
  identity: ({ headers }) => String(headers['webhook-id']),
  secrets: [seed],
  showsText: false,
}))

channelContract('pagerduty', messages({
  connect: (url) => makeOutgoing({ kind: 'pagerduty', ...common, url, routingKey: new Secret('R0UTE'), severity: 'warning' }, consoleUrl, readSigningKey(seed)!),
  about: ({ body }) => String(body['dedup_key']),
  state: ({ body }) => String(body['event_action']),
  identity: ({ body }) => String(body['dedup_key']),
  word: (state) => (state === 'pending' ? 'trigger' : 'resolve'),
  showsText: false,
}))

const cardIn = ({ body }: Received): unknown => (body['attachments'] as { content: unknown }[])[0]?.content

channelContract('teams-webhook', messages({
  connect: (url) => makeTeamsWebhook({ kind: 'teams-webhook', ...common, url: new Secret(`${url}?sig=s1gnature`), payload: 'full' }, consoleUrl),
  check: (received) => cardProblems(cardIn(received)).join('; ') || undefined,
  about: ({ text }) => /holds\/(hold_[a-z0-9]+)/.exec(text)?.[1] ?? '',
  state: (received) => (textsOf(cardIn(received)).find(({ where }) => where === 'TextRun.text')?.text ?? '').slice(2),
  identity: ({ text }) => text,
  word: stateText,
  secrets: ['s1gnature'],
  showsText: true,
}))

channelContract('teams-bot', async () => {
  const teams = await startTeams()
  const about = ({ id }: Hold): readonly string[] => [...teams.messages.keys()].filter((message) => JSON.stringify(teams.cardOf(message)).includes(id))
  return {
    connect: () => makeTeamsBot(teams.options(), consoleUrl, silent),
    stands: (hold) => about(hold).map((message) => (textsOf(teams.cardOf(message)).find(({ where }) => where === 'TextRun.text')?.text ?? '').slice(2)).at(-1),
    word: stateText,
    count: (hold) => about(hold).length,
    sent: teams.sent,
    wrong: teams.wrong,
    busyOnce: () => void teams.answers.push([429, { 'retry-after': '1' }]),
    get down() {
      return teams.state.down
    },
    set down(value) {
      teams.state.down = value
    },
    secrets: [teams.appSecret],
    showsText: true,
    mostBytes: 28_000,
    [Symbol.asyncDispose]: () => teams[Symbol.asyncDispose](),
  }
})
