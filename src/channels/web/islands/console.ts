/** What a browser with scripts gets beside the pages, which work without. */
import { localTimes, startCountdown } from './countdown.ts'
import { startKeys } from './keys.ts'
import { makeRefresh } from './live-page.ts'
import { setClock } from './page.ts'
import { startPasskeys } from './passkey.ts'
import { startSearch } from './search.ts'
import { followChanges, type Liveness } from './stream.ts'

const badge = document.getElementById('live')
let shown: Liveness = { state: 'reconnecting' }

const words = (liveness: Liveness): string => {
  if (liveness.state === 'stale') return `stale since ${Math.round((Date.now() - liveness.since) / 1_000)} s`
  return liveness.state === 'ended' ? 'signed out: load the page again' : liveness.state
}

const show = (): void => {
  if (badge === null) return
  const text = words(shown)
  badge.hidden = false
  badge.dataset['state'] = shown.state === 'ended' ? 'stale' : shown.state
  if (badge.textContent !== text) badge.textContent = text
}

setClock(document)
localTimes()
startCountdown()
startKeys()
startPasskeys()
startSearch()
const refresh = makeRefresh()
followChanges(refresh.on, (liveness) => {
  // Between two streams something may have happened that neither of them told.
  const back = liveness.state === 'live' && shown.state !== 'live'
  shown = liveness
  show()
  if (back) refresh.now()
})
setInterval(() => shown.state === 'stale' && show(), 1_000)
// A page that the browser kept shows what was: it looks again at once.
addEventListener('pageshow', (event) => {
  if (!event.persisted) return
  sent.clear()
  refresh.now()
})

/** One press is one decision. */
const sent = new Set<EventTarget>()
document.addEventListener('submit', (event) => {
  const { target } = event
  if (!(target instanceof HTMLFormElement) || target.method !== 'post') return
  if (sent.has(target)) event.preventDefault()
  sent.add(target)
})
