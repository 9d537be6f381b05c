import { cutAt, visible } from '../../../lib/visible.ts'
import { askedBy, reviewDue } from '../../../approval/marks.ts'
import { mostTogether } from '../../../approval/together.ts'
import type { Caller } from '../../../model/caller.ts'
import { isOpen, type Hold } from '../../../model/hold.ts'
import { endOf, gist, headline, impactText, personText, said, targetText, votesOf } from '../../words.ts'
import { html, type Html } from './html.ts'
import { clock, stateBadge, timeLeft } from './words.ts'

export type Tab = 'needs' | 'mine' | 'all'

export interface InboxPage {
  readonly tab: Tab
  readonly viewer: Caller
  /** Released in an emergency, and the viewer is one of those who can review it. */
  readonly reviews: readonly Hold[]
  readonly holds: readonly Hold[]
  /** Where the next page begins. */
  readonly next?: string | undefined
  readonly first: boolean
  readonly now: number
}

const tabs: Readonly<Record<Tab, string>> = { needs: 'Needs my decision', mine: 'Mine', all: 'All' }
const empty: Readonly<Record<Tab, readonly [string, string]>> = {
  needs: ['Nothing waits for you', 'What needs your decision appears here by itself.'],
  mine: ['You have asked for nothing', 'Actions of yours that had to wait, and those of agents that act for you, are here.'],
  all: ['There is nothing yet', 'Every action that had to wait and that you may see is here.'],
}
const longestPreview = 220

export const isTab = (text: string): text is Tab => Object.hasOwn(tabs, text)

export const inboxPage = ({ tab, viewer, reviews, holds, next, first, now }: InboxPage): Html => {
  const rows = [...reviews, ...holds]
  const count = `${rows.length}${next === undefined ? '' : '+'}`
  return html`<header class="inbox-head"><h1>Approvals</h1>
<nav class="tabs" aria-label="Which actions">${(Object.keys(tabs) as Tab[]).map((each) => html`<a href="/?tab=${each}"${each === tab && html` aria-current="page"`}>${tabs[each]}${each === tab && rows.length > 0 && html` <span class="count">${count}</span>`}</a>`)}</nav><input class="search" type="search" placeholder="Search this list" aria-label="Search this list" hidden></header>
<section id="inbox" data-tab="${tab}" aria-label="${tabs[tab]}">
${rows.length === 0 ? html`<div class="empty"><h2>${empty[tab][0]}</h2><p>${empty[tab][1]}</p></div>` : listOf(rows, (hold) => row(hold, viewer, now, tab === 'needs' && hold.state === 'pending'), tab === 'needs')}
${(next !== undefined || !first) && html`<nav class="pages" aria-label="Pages">${!first && html`<a href="/?tab=${tab}">Newest</a>`}${next !== undefined && html`<a href="/?tab=${tab}&amp;after=${encodeURIComponent(next)}">Older</a>`}</nav>`}
</section>`
}

/** Where several can be decided in one step, whoever chooses some looks at all of them first. */
const listOf = (rows: readonly Hold[], shown: (hold: Hold) => Html, choosable: boolean): Html => {
  const list = html`<ol class="holds">${rows.map(shown)}</ol>`
  return choosable ? html`<form action="/together" method="get" class="choose">${list}<div class="chosen"><button>Look at what is ticked</button><span class="hint">to decide it in one step, at most ${mostTogether} at a time</span></div></form>` : list
}

const row = (hold: Hold, viewer: Caller, now: number, choosable: boolean): Html => {
  const { action, caller } = hold
  const end = endOf(hold)
  const { given, needed } = votesOf(hold)
  const impact = impactText(action.impact)
  const asked = hold.state === 'pending' ? askedBy(hold, viewer) : undefined
  const due = reviewDue(hold)
  const preview = cutAt(visible(gist(action)).replaceAll(/\s+/g, ' '), longestPreview)
  return html`<li id="${hold.id}" data-revision="${hold.revision}"${choosable && html` class="choosable"`}>${choosable && html`<input type="checkbox" class="pick" name="hold" value="${hold.id}" aria-label="Choose ${hold.code}: ${headline(hold)} ${targetText(hold)}" autocomplete="off">`}<a class="row" href="/holds/${hold.id}">
<span class="line"><span class="verb">${headline(hold)}</span> <span class="target">${targetText(hold)}</span><span class="service">${said(action.service)}</span></span>
<code class="preview">${preview.text}${preview.cut && ' …'}</code>
${due !== undefined && html`<span class="owed"><span aria-hidden="true">▲</span> The glass was broken: to be reviewed</span>`}${asked && html`<span class="asked">${personText(asked.by)} asks you to look</span>`}
<span class="facts">${stateBadge(hold.state)}<span class="code">${hold.code}</span>${impact !== undefined && html`<span class="impact${action.impact?.unfiltered === true && ' every'}">${action.impact?.unfiltered === true && html`<span aria-hidden="true">▲</span> `}${impact}</span>`}${action.tags.filter((tag) => tag !== 'public').slice(0, 4).map((tag) => html`<span class="tag">${said(tag)}</span>`)}<span class="who">${personText(caller)}${caller.onBehalfOf[0] && html` for ${personText(caller.onBehalfOf[0])}`}</span>${isOpen(hold.state) && html`<span class="votes">${given} of ${needed}</span>`}<span class="when">${due !== undefined ? html`review: ${timeLeft(due, now)}` : end === undefined ? clock(hold.settledAt ?? hold.openedAt) : timeLeft(end, now)}</span></span>
</a></li>`
}
