import assert from 'node:assert/strict'
import { isDecidable, makeCard, type Card, type CardStyle } from '../../src/channels/slack/card.ts'
import type { Payload } from '../../src/channels/options.ts'
import { cardOf } from '../../src/channels/teams/card.ts'
import { html } from '../../src/channels/web/pages/html.ts'
import { contentSecurityPolicy } from '../../src/channels/web/site.ts'
import { headline, targetText } from '../../src/channels/words.ts'
import { makeStatement } from '../../src/channels/web/pages/statement.ts'
import { caseAction } from '../../src/cli/case-action.ts'
import { sqlCaseAction } from '../../src/cli/sql-case-action.ts'
import { terminalText } from '../../src/lib/terminal-text.ts'
import { visibleRaw } from '../../src/lib/visible.ts'
import type { Action } from '../../src/model/action.ts'
import type { Hold } from '../../src/model/hold.ts'
import type { PolicySet } from '../../src/policy/policy-set.ts'
import { wrongBlocks } from '../channels/slack/message-rules.ts'
import { consoleUrl, sampleHold } from '../channels/slack/sample.ts'
import { cardProblems } from '../channels/teams/card-rules.ts'
import { isTree, list, type Run, type Tree } from './loader.ts'
import { fail, pending } from './outcome.ts'
import { expand, type TextWorld } from './text.ts'

/* `render` items: what an approver is shown of a value that an agent wrote, in a chat, in the console and at a terminal. */

interface View {
  readonly channel: string
  /** All that is there to be read. */
  readonly text: string
}

interface Rendered {
  readonly field: string
  readonly value: string
  readonly hold: Hold
  readonly payload: Payload
  readonly views: readonly View[]
  readonly slack: Card | undefined
  readonly teams: ReturnType<typeof cardOf> | undefined
  /** What the console's page of it is made of, as a browser gets it. */
  readonly page: string
}

const styleWith = (payload: Payload): CardStyle => ({ payload, consoleUrl, interactive: true })
const noPolicies = { tagsOf: () => [], columnTags: () => [] } as unknown as PolicySet

/** As the protocol itself reads it; what it does not take never comes before an approver, and is shown here all the same. */
const sqlAction = async (sql: string): Promise<Action> => {
  const made = await sqlCaseAction('crm-db', { sql }, noPolicies)
  if (typeof made === 'string') return { ...sampleHold().action, text: visibleRaw(sql) }
  const { protocol, service, verb, verbs, effect, resources, tags, text, textCut, outline, facts, digest, shape } = made
  const { filtered } = (facts['sql'] ?? {}) as { readonly filtered?: boolean }
  return { protocol, service, verb, verbs, effect, resources, tags, text, textCut, outline, facts, digest, shape, ...(made.parts === undefined ? {} : { parts: made.parts }), ...(filtered === undefined ? {} : { impact: { unfiltered: !filtered, notes: [] } }) }
}

const httpAction = (path: string, body?: string): Action => {
  const made = caseAction('app', { method: 'POST', path, ...(body === undefined ? {} : { body, ...(body.startsWith('{') ? { headers: { 'content-type': 'application/json' } } : {}) }) }, () => [])
  return typeof made === 'string' ? { ...sampleHold().action, protocol: 'http', text: visibleRaw(`POST ${path}`) } : made
}

const holdWith = async (field: string, value: string): Promise<Hold> => {
  if (field === 'sql') return sampleHold({ action: await sqlAction(value) })
  if (field === 'http_body') return sampleHold({ action: httpAction('/v1/x', value) })
  if (field === 'http_target') return sampleHold({ action: httpAction(value) })
  if (field === 'reason') return sampleHold({ statedReason: value })
  if (field === 'agent_name') return sampleHold({ caller: { ...sampleHold().caller, name: value } })
  return pending(`no field is called ${field} here`)
}

/** Every text in it, whatever it is shown as. */
const textsIn = (value: unknown): readonly string[] =>
  typeof value === 'string' ? [value] : Array.isArray(value) ? value.flatMap(textsIn) : typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []

const unescaped = (markup: string): string => markup.replaceAll(/<[^>]*>/g, '').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')

/** `redact: literals` of a channel is `payload: outline`. */
const payloadOf = ({ given }: Run): Payload => {
  const { channels } = (given['settings'] ?? {}) as { readonly channels?: Tree }
  if (channels === undefined) return 'full'
  return Object.values(channels).every((one) => isTree(one) && one['redact'] === 'literals') ? 'outline' : pending('that setting of a channel')
}

const render = async ({ item }: Run, payload: Payload): Promise<Rendered> => {
  const { field, value: given, channel: at, summary } = item['render'] as Tree
  const channel = item['channel'] ?? at
  const value = expand(String(given), {} as TextWorld)
  const hold = { ...(await holdWith(String(field), value)), ...(summary === undefined ? {} : { statedReason: String(summary) }) }
  const wants = (name: string): boolean => channel === undefined || channel === name
  const slack = wants('slack') ? makeCard(hold, styleWith(payload)) : undefined
  const teams = wants('teams') ? cardOf({ hold, payload, consoleUrl, decides: true }) : undefined
  const views: View[] = []
  if (slack !== undefined) views.push({ channel: 'slack', text: textsIn(slack).join('\n') })
  if (teams !== undefined) views.push({ channel: 'teams', text: textsIn(teams).join('\n').replaceAll('\u00a0', ' ') })
  const { markup } = await makeStatement(hold, undefined)
  if (wants('console')) views.push({ channel: 'console', text: unescaped(markup.toString()) })
  if (channel === 'cli') views.push({ channel: 'cli', text: terminalText(hold.statedReason ?? hold.action.text) })
  if (views.length === 0) pending(`nothing is shown in ${String(channel)} here`)
  const page = html`<title>${headline(hold)} ${targetText(hold)}</title>${markup}`.toString()
  return { field: String(field), value, hold, payload, views, slack, teams, page }
}

const demand = (holds: boolean, why: string): void => void (holds || fail(why))

/** Blocks of Slack in which something is read as markup. */
const markup = (card: Card): readonly string[] => card.blocks.flatMap((block) => (block.type === 'context' ? block.elements.flatMap((element) => (element.type === 'mrkdwn' ? [element.text] : [])) : []))

const literal = ({ slack, teams }: Rendered): void => {
  if (slack !== undefined) {
    demand(wrongBlocks(slack.blocks, 'message') === undefined, `Slack refuses it: ${wrongBlocks(slack.blocks, 'message')}`)
    demand(markup(slack).every((text) => /^(?:Decide|Run) by <!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|[\d:.TZ-]+>$/.test(text)), 'markup holds more than a time')
    demand(slack.text === 'Approval wanted: CS-7F3K', 'the notification holds more than our own words')
    demand(!JSON.stringify(slack).includes('"emoji":true'), 'emoji are read')
  }
  if (teams !== undefined) demand(cardProblems(teams).length === 0, `Teams: ${cardProblems(teams).join('; ')}`)
}

const spelled: Readonly<Record<string, readonly string[]>> = { '\u202e': ['\\u{202e}'], '\u202c': ['\\u{202c}'], '\u200b': ['\\u{200b}'], '\u0443': ['\\u{443}'], '\u2066': ['\\u{2066}'], '\u2069': ['\\u{2069}'], '\u00a0': ['\\u{a0}', '%C2%A0'], '\x1b': ['\\u{1b}'], '\x08': ['\\u{8}'] }

const labels: Readonly<Record<string, RegExp>> = { sql: /The exact action/, http_body: /The exact action/, reason: /What the requester says[^]{0,40} Nobody has checked it\.|Words of the requester, which nobody has checked|Words of the requester. Nobody has checked them/, agent_name: /Asked by[^]{0,20}agent / }

const approves = ({ slack, teams }: Rendered): boolean => JSON.stringify(slack ?? '').includes('countersign.approve') || JSON.stringify(teams ?? '').includes('"verb":"approve"')

type Check = (rendered: Rendered) => void | Promise<void>

const linksIn = ({ page, slack, teams }: Rendered): readonly string[] => [...page.matchAll(/(?:href|src|action)="([^"]*)"/g), ...JSON.stringify([slack, teams]).matchAll(/"(?:url|image_url|iconUrl)":"([^"]*)"/g)].map(([, to = '']) => to)

const checks: Readonly<Record<string, Check>> = {
  'the text appears literally': ({ views, value, page }) => {
    for (const { channel, text } of views) demand(text.replaceAll('\u200b', '').includes(value), `${channel} shows another text than ${value}`) // Teams is kept from making links of what looks like one
    demand(!/<(?:img|script|svg)\b/i.test(page) && page.split('</title>').length === 2, 'the text became a part of the page')
  },
  "the page's CSP has neither unsafe-inline nor unsafe-eval for scripts": () => demand(/(?:^|; )script-src 'self'(?:;|$)/.test(contentSecurityPolicy) && !contentSecurityPolicy.includes('unsafe'), 'scripts of others may run'),
  'no link is made from an unchecked scheme': (rendered) => {
    for (const to of linksIn(rendered)) demand(to.startsWith('/') || to.startsWith(`${consoleUrl}/`), `there is a link to ${to}`)
  },
  'the code block cannot be closed from inside': literal,
  'no mention, link or emoji of the text is active': literal,
  'untrusted fields are labelled as such': ({ views, field }) => {
    for (const { channel, text } of views) demand(labels[field]?.test(text) === true, `${field} has no label in ${channel}`)
  },
  'each such character is shown as a visible escape': ({ views, value }) => {
    for (const [character, escapes] of Object.entries(spelled)) {
      if (!value.includes(character)) continue
      for (const { channel, text } of views) {
        demand(!text.includes(character), `${channel} shows ${escapes[0]} itself`)
        demand(escapes.some((escape) => text.includes(escape)), `${channel} does not spell out ${escapes[0]}`)
      }
    }
  },
  'a warning badge is present': ({ views, field }) => {
    for (const { channel, text } of views) if (channel !== 'cli') demand(field === 'reason' ? labels['reason']?.test(text) === true : /⚠|spelled out|folded/.test(text), `no warning in ${channel}`)
  },
  'long runs of white space are folded with their count': ({ views, value }) => {
    const run = / {41,}/.exec(value)?.[0].length
    if (run === undefined) return
    for (const { channel, text } of views) demand(text.includes(`\\{${run} spaces}`) && !/ {41,}/.test(text), `${channel} does not fold ${run} spaces`)
  },
  'the digest is over the original bytes': async ({ field, value, hold }) => {
    if (field === 'reason') return // no part of the action
    const other = await holdWith(field, value.replaceAll(/[^\x20-\x7e]/g, '').replaceAll(/ {2,}/g, ' '))
    demand(hold.action.digest !== other.action.digest || hold.action.digest === sampleHold().action.digest, 'what cannot be seen is not in the digest')
  },
  'facts from the parser stand first': ({ views, hold }) => {
    for (const { channel, text } of views) demand(text.indexOf('public.users') < text.indexOf(hold.statedReason ?? '\0'), `${channel} begins with the words of the requester`)
  },
  'the summary is labelled as written by the agent and is visually separate': ({ views }) => {
    for (const { channel, text } of views) demand(labels['reason']?.test(text) === true, `the summary has no label in ${channel}`)
  },
  'there is no direct approve button; the message has head, tail, length, part list and digest and a button that opens the full text': (rendered) => {
    const { views, hold, value, field } = rendered
    demand(!approves(rendered), 'there is a button that approves')
    for (const { channel, text } of views) {
      demand(text.includes(hold.action.digest) || channel === 'teams', `${channel} has no digest`)
      demand(text.includes(`${consoleUrl}/holds/${hold.id}`), `${channel} does not lead to the full text`)
      if (field !== 'sql') continue
      demand(text.includes(value.slice(0, 100)) && text.includes(value.slice(-100)), `${channel} does not show head and tail`)
      demand(/of \d+ characters|: \d+ characters|than is kept of its text/.test(text), `${channel} does not say how long it is`)
      demand(/It does: |Parts/.test(text), `${channel} does not say what it does`)
    }
  },
  'the chat message holds neither 987-65-4321 nor hunter2': (rendered) => {
    for (const { channel, text } of chats(rendered)) {
      demand(!/987-65-4321|hunter2/.test(text), `${channel} shows what it should hide`)
      demand(/ssn = '•••'|"password": "•••"/.test(text), `${channel} shows nothing of the text`)
    }
  },
  'it says that parts are hidden and gives the link; hidden parts count as not shown (see K13)': (rendered) => {
    for (const { channel, text } of chats(rendered)) {
      demand(text.includes('Its values are hidden here.'), `${channel} does not say that parts are hidden`)
      demand(text.includes(`${consoleUrl}/holds/${rendered.hold.id}`), `${channel} does not lead to the full text`)
    }
    demand(!approves(rendered) && !isDecidable(rendered.hold, styleWith(rendered.payload)), 'there is a button that approves')
  },
  'the console shows the full text to an entitled approver': ({ views, value }) => demand(views.some(({ channel, text }) => channel === 'console' && text.includes(value)), 'the console does not show it'),
  'the vote is possible only after the full text was served to that approver': (rendered) => {
    // What the card does not offer is refused, whoever sends it: test/channels/slack/clicks.test.ts and test/channels/teams/clicks.test.ts.
    demand(!isDecidable(rendered.hold, styleWith(rendered.payload)) && !approves(rendered), 'it may be voted on where it is not shown')
  },
}

const chats = ({ views }: Rendered): readonly View[] => views.filter(({ channel }) => channel === 'slack' || channel === 'teams')

/** What a view must say of facts, in the words of the cases. */
const checkShown = ({ views, hold }: Rendered, wanted: Tree): void => {
  const { statement, tables, flags, ...rest } = wanted
  if (Object.keys(rest).length > 0) pending(`no check yet for ${Object.keys(rest).join()}`)
  demand(statement === undefined || hold.action.effect === statement, `it is a ${hold.action.effect}`)
  for (const { channel, text } of views) {
    for (const table of list(tables)) demand(text.includes(String(table)), `${channel} does not name ${String(table)}`)
    for (const flag of list(flags)) demand(flag === 'unbounded' ? /every row/i.test(text) : pending(`no flag is called ${String(flag)}`), `${channel} does not say ${String(flag)}`)
  }
}

export const checkRender = async (run: Run): Promise<void> => {
  const { that: _that, shown, ...more } = run.expect
  if (Object.keys(more).length > 0) pending(`no check yet for ${Object.keys(more).join()}`)
  const rendered = await render(run, payloadOf(run))
  if (shown !== undefined) checkShown(rendered, shown as Tree)
  for (const sentence of list(run.expect['that']).map(String)) {
    const check = Object.hasOwn(checks, sentence) ? checks[sentence] : undefined
    if (check === undefined) pending(`nobody checks yet that ${sentence}`)
    else await check(rendered)
  }
  assert.ok(rendered.views.length > 0)
}
