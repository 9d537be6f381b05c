/** Leaves only the rows that hold every word. */
export const startSearch = (): void => {
  const field = document.querySelector<HTMLInputElement>('.search')
  const inbox = document.getElementById('inbox')
  if (field === null || inbox === null) return
  field.hidden = false
  const sift = (): void => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean)
    for (const row of inbox.querySelectorAll<HTMLElement>('.holds > li')) {
      const text = (row.textContent ?? '').toLowerCase()
      row.hidden = !words.every((word) => text.includes(word))
    }
  }
  field.addEventListener('input', sift)
  new MutationObserver(sift).observe(inbox, { childList: true, subtree: true })
}
