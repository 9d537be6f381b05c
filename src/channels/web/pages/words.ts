import type { HoldState } from '../../../model/hold.ts'
import { spanText, stateText, timeText } from '../../words.ts'
import { html, type Html } from './html.ts'

export const clock = (at: number): Html => html`<time datetime="${new Date(at).toISOString()}">${timeText(at)}</time>`

/** What is left until then, counted down by a script where there is one. */
export const timeLeft = (until: number, now: number): Html => html`<time class="left" datetime="${new Date(until).toISOString()}" data-until="${until}">${until > now ? `${spanText(until - now)} left` : 'time is over'}</time>`

/** A sign beside the word, so that no state is told by colour alone. */
const signs: Readonly<Record<HoldState, string>> = { pending: '◔', approved: '✓', denied: '✕', expired: '⌛', withdrawn: '↩', running: '▸', executed: '✓', failed: '!', unknown: '?' }

export const stateBadge = (state: HoldState): Html => html`<span class="badge s-${state}"><span aria-hidden="true">${signs[state]}</span> ${stateText(state)}</span>`
