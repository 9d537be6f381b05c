import type { Occasion, Showing } from '../../approval/channel.ts'
import { groupsAsked, marksOf, reviewWithinMs } from '../../approval/marks.ts'
import { defined } from '../../lib/defined.ts'
import { visibleRaw } from '../../lib/visible.ts'
import type { Action } from '../../model/action.ts'
import type { Party, Principal } from '../../model/caller.ts'
import type { Hold, HoldState, Mark } from '../../model/hold.ts'
import { holdUrl, listUrl } from '../interest.ts'
import type { Payload } from '../options.ts'
import { shownAction } from '../shown-action.ts'
import { votesOf } from '../words.ts'

/** The whole message stays below what receivers take. */
const longestText = 12_000

export type MessageType = 'hold.opened' | 'hold.changed' | 'hold.reminder' | 'hold.alike' | `hold.${Exclude<HoldState, 'pending'>}` | `hold.${Mark['what']}`

export const typeOf = ({ hold, occasion }: Pick<Showing, 'hold' | 'occasion'>): MessageType => {
  if (occasion !== 'change') return `hold.${occasion}`
  if (hold.state !== 'pending') return `hold.${hold.state}`
  return hold.revision === 1 ? 'hold.opened' : 'hold.changed'
}

/** The same for every try, so that a receiver can tell a repeat. */
export const messageId = ({ hold, occasion, alike = 0 }: Pick<Showing, 'hold' | 'occasion' | 'alike'>): string => `${hold.id}.${hold.revision}${occasion === 'change' ? '' : `.${occasion}`}${occasion === 'alike' ? `-${alike}` : ''}`

const time = (at: number): string => new Date(at).toISOString()
const named = ({ issuer, subject }: Party) => ({ issuer, subject })

/** What the message is about beside the hold as it is. Words of people only where there is more than that there is something. */
const markOf = (hold: Hold, occasion: Occasion, words: boolean) => {
  const mark = marksOf(hold).findLast(({ what }) => what === occasion)
  if (mark === undefined) return undefined
  const at = time(mark.at)
  if (mark.what === 'broke-glass') return { at, by: named(mark.by), skipped: { groups: mark.skipped.groups, users: mark.skipped.users.map(named) }, reviewBy: time(mark.at + reviewWithinMs), ...(words ? { reason: visibleRaw(mark.reason) } : {}) }
  if (mark.what === 'handed-over') return { at, by: named(mark.by), to: 'group' in mark.to ? mark.to : named(mark.to), ...(words && mark.note !== undefined ? { note: visibleRaw(mark.note) } : {}) }
  if (mark.what === 'granted') return { at, grant: hold.granted?.id, ...mark.bounds, until: time(mark.at + mark.bounds.withinMs) }
  if (mark.what === 'grant-ended') return { at, grant: hold.granted?.id, end: mark.end, used: mark.used }
  if (mark.what === 'reviewed') return { at, by: named(mark.by), ...(words ? { note: visibleRaw(mark.note) } : {}) }
  return { at }
}

/** `valuesHidden`: `•••` stands in it for values. What is hidden is not shown, so it counts as cut. */
const textOf = (action: Action, payload: Payload) => {
  const shown = shownAction(action, payload)
  if (shown === undefined) return {}
  const text = visibleRaw(shown.hides ? (action.outline ?? '') : action.text)
  return { text: text.slice(0, longestText).toWellFormed(), textCut: !shown.isWhole || text.length > longestText, ...(shown.hides ? { valuesHidden: true } : {}) }
}

const who = ({ issuer, subject, kind, name, email }: Principal) => ({ issuer, subject, kind, ...defined({ name, email }) })

/** What leaves the house. Values that an agent wrote are data here, with invisible characters spelled out; whoever shows them must not read them as markup. */
export const messageOf = (showing: Showing, payload: Payload, consoleUrl: string): string => {
  const { hold, alike = 0 } = showing
  const { action, caller } = hold
  const changedAt = Math.max(hold.openedAt, hold.settledAt ?? 0, hold.votes.at(-1)?.at ?? 0, marksOf(hold).at(-1)?.at ?? 0)
  return JSON.stringify({
    type: typeOf(showing),
    timestamp: time(changedAt),
    data: {
      hold: hold.id,
      code: hold.code,
      revision: hold.revision,
      state: hold.state,
      digest: action.digest,
      deadline: time(hold.deadline),
      url: holdUrl(consoleUrl, hold),
      ...(alike > 0 ? { alike, list: listUrl(consoleUrl) } : {}),
      ...defined({ mark: markOf(hold, showing.occasion, payload !== 'none') }),
      ...(payload === 'none' ? {} : {
        service: action.service,
        verb: action.verb,
        effect: action.effect,
        tags: action.tags,
        caller: who(caller),
        onBehalfOf: caller.onBehalfOf.map(who),
        rules: hold.matched.filter(({ then, observed }) => then === 'hold' && !observed).map(({ policy, rule, because }) => ({ policy, rule, ...defined({ because }) })),
        approvals: { ...votesOf(hold), groups: groupsAsked(hold) },
        ...(action.impact === undefined ? {} : { impact: { ...action.impact, notes: action.impact.notes.map((note) => visibleRaw(note)) } }),
        ...(hold.outcome === undefined ? {} : { outcome: { result: hold.outcome.result, ms: hold.outcome.ms, ...defined({ status: hold.outcome.status, rows: hold.outcome.rows }) } }),
      }),
      ...textOf(action, payload),
    },
  })
}
