import { html, type Html } from '../../channels/web/pages/html.ts'

/* Pictures of numbers, as SVG without scripts. Each says in words what it shows, for who cannot see it. */

export interface Part {
  readonly name: string
  /** Class of its colour. */
  readonly tone: string
  readonly count: number
}

const percent = (count: number, of: number): string => (of === 0 || count === 0 ? '0 %' : `${count * 100 < of ? '<1' : Math.round((count * 100) / of)} %`)

export const number = (value: number): string => value.toLocaleString('en-US')

const words = (parts: readonly Part[]): string => parts.map(({ name, count }) => `${name} ${number(count)}`).join(', ')

export const legend = (parts: readonly Part[], total: number): Html =>
  html`<ul class="legend">${parts.map(({ name, tone, count }) => html`<li><span class="dot ${tone}"></span>${name} <b>${number(count)}</b> <small>${percent(count, total)}</small></li>`)}</ul>`

/** One bar of parts. */
export const stripe = (parts: readonly Part[], label: string): Html => {
  const total = parts.reduce((sum, { count }) => sum + count, 0)
  const shown = parts.filter(({ count }) => count > 0)
  // Something that is there is seen, however little it is.
  const widths = shown.map(({ count }) => Math.max(1.2, (count * 100) / total))
  const all = widths.reduce((a, b) => a + b, 0)
  let x = 0
  return html`<figure><svg viewBox="0 0 100 5" preserveAspectRatio="none" role="img" aria-label="${label}: ${words(parts)}" class="stripe">${total === 0 ? html`<rect width="100" height="5" class="none"/>` : shown.map(({ tone }, at) => {
    const width = ((widths[at] ?? 0) * 100) / all
    const bar = html`<rect x="${x.toFixed(2)}" width="${width.toFixed(2)}" height="5" class="${tone}"/>`
    x += width
    return bar
  })}</svg>${legend(parts, total)}</figure>`
}

export interface Column {
  readonly name: string
  readonly parts: readonly Part[]
}

const [width, height, base, left] = [720, 220, 190, 44]

/** A round number at or above it: 1, 2 or 5 with zeros. */
const roundUp = (value: number): number => {
  const scale = 10 ** Math.floor(Math.log10(Math.max(1, value)))
  return [1, 2, 5, 10].map((step) => step * scale).find((step) => step >= value) ?? value
}

export const columns = (all: readonly Column[], label: string): Html => {
  const totals = all.map(({ parts }) => parts.reduce((sum, { count }) => sum + count, 0))
  const most = roundUp(Math.max(1, ...totals))
  const step = (width - left) / Math.max(1, all.length)
  const bar = Math.max(1, Math.min(44, step * 0.72))
  const tall = (count: number): number => (count / most) * (base - 14)
  const every = Math.max(1, Math.ceil(all.length / 8))
  const marks = most === 1 ? [0, 1] : [0, most / 2, most]
  return html`<figure class="wide"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}: ${all.map(({ name, parts }) => `${name}: ${words(parts.filter(({ count }) => count > 0)) || 'none'}`).join('; ')}" class="columns">
${marks.map((mark) => html`<line x1="${left}" x2="${width}" y1="${(base - tall(mark)).toFixed(1)}" y2="${(base - tall(mark)).toFixed(1)}" class="grid"/><text x="${left - 8}" y="${(base - tall(mark) + 4).toFixed(1)}" class="tick end">${number(mark)}</text>`)}
${all.map(({ name, parts }, at) => {
    let y = base
    const x = left + at * step + (step - bar) / 2
    return html`<g>${parts.filter(({ count }) => count > 0).map(({ tone, count }) => {
      y -= tall(count)
      return html`<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${bar.toFixed(1)}" height="${Math.max(0.8, tall(count)).toFixed(1)}" class="${tone}"/>`
    })}${at % every === 0 && html`<text x="${(x + bar / 2).toFixed(1)}" y="${base + 18}" class="tick middle">${name}</text>`}</g>`
  })}</svg></figure>`
}
