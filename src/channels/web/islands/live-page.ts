import { localTimes } from './countdown.ts'
import { announce, loadAgain } from './page.ts'
import type { Change } from './stream.ts'

const restMs = 150

/** Brings the page up to date, one request at a time and never for the same news twice. What somebody has in hand is left where it is. */
export const makeRefresh = (): { readonly now: () => void; readonly on: (change: Change) => void } => {
  let wanted = false
  let running = false
  const run = async (): Promise<void> => {
    if (running) return
    running = true
    while (wanted) {
      wanted = false
      await new Promise((resume) => setTimeout(resume, restMs)) // changes come in groups
      try {
        const page = await loadAgain()
        if (page !== undefined) (document.getElementById('inbox') === null ? renewHold : renewInbox)(page)
        localTimes()
      } catch {
        // The badge says that what is shown may be old; the next change asks again.
      }
    }
    running = false
  }
  const isInbox = (): boolean => document.getElementById('inbox') !== null
  const shown = (): string | undefined => document.querySelector<HTMLElement>('[data-hold]')?.dataset['hold']
  /** Other pages tell nothing of holds: to load one again would be one more look at what it shows, and looks at the audit log are on record. */
  const now = (): void => {
    if (!isInbox() && shown() === undefined) return
    wanted = true
    void run()
  }
  return { now, on: ({ id }) => (isInbox() || shown() === id) && now() }
}

/** Rows that did not change stay the elements they are, so that focus and selection stay in them. */
const renewInbox = (page: Document): void => {
  const [mine, theirs] = [document.getElementById('inbox'), page.getElementById('inbox')]
  if (mine === null || theirs === null) return
  const tabs = page.querySelector('.tabs')
  const focusedTab = document.querySelector('.tabs')?.contains(document.activeElement)
  if (tabs !== null && !focusedTab) document.querySelector('.tabs')?.replaceWith(tabs)
  document.title = page.title
  const [list, next] = [mine.querySelector('.holds'), theirs.querySelector('.holds')]
  if (list === null || next === null) {
    if (mine.contains(document.activeElement)) return goneFrom(list, [])
    if (list === null && next !== null) announceNew([...next.children])
    return mine.replaceChildren(...theirs.children)
  }
  const fresh: Element[] = []
  const ordered = [...next.children].map((row) => {
    const known = document.getElementById(row.id)
    if (known === null) {
      row.classList.add('fresh')
      fresh.push(row)
      return row
    }
    if (known.dataset['revision'] === (row as HTMLElement).dataset['revision'] || known.contains(document.activeElement)) return known
    known.replaceWith(row)
    return row
  })
  goneFrom(list, ordered)
  for (const [at, row] of ordered.entries()) if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null)
  announceNew(fresh)
}

/** What is no longer in the list goes, but for the row that has the focus: that one only fades. */
const goneFrom = (list: Element | null, kept: readonly Element[]): void => {
  for (const row of Array.from(list?.children ?? [])) {
    if (kept.includes(row)) continue
    if (row.contains(document.activeElement)) row.classList.add('gone')
    else row.remove()
  }
}

const announceNew = (rows: readonly Element[]): void => {
  if (rows.length > 0) announce(`New: ${rows.slice(0, 3).map((row) => `${row.querySelector('.verb')?.textContent ?? ''} ${row.querySelector('.target')?.textContent ?? ''}`).join(', ')}${rows.length > 3 ? ` and ${rows.length - 3} more` : ''}`)
}

/** A hold that changed while somebody has it in hand is not exchanged under their fingers: the page says so and asks to be loaded again. */
const renewHold = (page: Document): void => {
  const [mine, theirs] = [document.querySelector<HTMLElement>('[data-hold]'), page.querySelector<HTMLElement>('[data-hold]')]
  if (mine === null || theirs === null) return
  const same = mine.dataset['revision'] === theirs.dataset['revision']
  if (same) return
  const typed = Array.from(mine.querySelectorAll('textarea'), ({ value, defaultValue }) => value !== defaultValue).includes(true)
  if (!mine.contains(document.activeElement) && !typed) {
    mine.replaceWith(theirs)
    document.title = page.title
    return announce(`This changed: ${theirs.querySelector('.badge')?.textContent?.trim() ?? ''}`)
  }
  const banner = document.getElementById('changed')
  if (banner === null || !banner.hidden) return
  banner.hidden = false
  for (const button of mine.querySelectorAll<HTMLButtonElement>('.vote button')) button.disabled = true
  announce('This changed while you looked at it. Load it again before you decide.', true)
}
