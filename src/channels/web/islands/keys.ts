/** Single keys can be switched off: who speaks to the computer would press them by accident. */
const storeKey = 'countersign-keys'

const isOn = (): boolean => localStorage.getItem(storeKey) !== 'off'

const isTyping = (target: EventTarget | null): boolean => target instanceof HTMLElement && !(target instanceof HTMLInputElement && target.type === 'checkbox') && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))

const here = (): HTMLElement | null | undefined => document.activeElement?.closest('#inbox li')?.querySelector<HTMLElement>('.row')

const rows = (): readonly HTMLElement[] => [...document.querySelectorAll<HTMLElement>('#inbox .row')].filter((row) => row.offsetParent !== null)

const move = (by: number): void => {
  const all = rows()
  const current = here()
  const at = all.findIndex((row) => row === current)
  all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by))]?.focus()
}

/** Whoever looks through the list ticks what they would look at together. */
const tick = (): void => here()?.closest('li')?.querySelector<HTMLInputElement>('.pick')?.click()

const focus = (selector: string) => (): void => {
  const found = document.querySelector<HTMLElement>(selector)
  found?.focus()
  found?.scrollIntoView({ block: 'nearest' })
}

const help = (): void => {
  const dialog = document.getElementById('keys') as HTMLDialogElement | null
  if (dialog === null) return
  if (dialog.open) dialog.close()
  else dialog.showModal()
}

const keys: Readonly<Record<string, () => void>> = { j: () => move(1), k: () => move(-1), a: focus('.vote .approve'), d: focus('.vote .deny'), x: tick, '/': focus('.search'), '?': help, i: () => location.assign('/') }

/** Letters move the focus and never decide: Enter does, on the button that has it. */
export const startKeys = (): void => {
  const off = document.getElementById('keys-on') as HTMLInputElement | null
  if (off !== null) {
    off.checked = isOn()
    off.addEventListener('change', () => localStorage.setItem(storeKey, off.checked ? 'on' : 'off'))
  }
  const opener = document.getElementById('keys-help')
  if (opener !== null) {
    opener.hidden = false
    opener.addEventListener('click', help)
  }
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return
    const act = keys[event.key]
    if (act === undefined || (!isOn() && event.key !== '?')) return
    event.preventDefault()
    act()
  })
}
