import type { Say } from '../../../audit/lineage/deed.ts'
import { cutAt } from '../../../lib/visible.ts'
import { said, verbText } from '../../words.ts'
import { html, type Html } from './html.ts'
import type { Column, Drawing, Line, Spot } from './lineage-layout.ts'

export interface MapView {
  readonly drawing: Drawing
  /** What is asked for. */
  readonly focus: ReadonlySet<string>
  /** Where a node leads. */
  readonly link: (node: string) => string
}

interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

const titles: Readonly<Record<Column, string>> = { for: 'On behalf of', who: 'Who asked', session: 'Session', action: 'Action', data: 'Data' }
/** Names of tables and paths are longer than those of people. */
const weights: Readonly<Record<Column, number>> = { for: 5, who: 6, session: 5, action: 8, data: 8 }
const boxHeight = 48
const voteHeight = 21
const between = 14
const heading = 30
const signs: Readonly<Record<Say, string>> = { yes: '✓', no: '✕', alone: '▲', grant: '✓' }
const sayWords: Readonly<Record<Say, string>> = { yes: 'said yes', no: 'said no', alone: 'broke the glass', grant: 'granted it beforehand' }

const heightOf = ({ votes }: Spot): number => boxHeight + votes.length * voteHeight

/** Columns side by side, for windows that are wide enough. */
export const wideMap = (view: MapView): Html => {
  const { spots, lines } = view.drawing
  const shown = [...spots]
  const arcs = lines.some(({ kind }) => kind === 'flow') ? 44 : 0
  const width = 1096
  const gap = shown.length > 4 ? 46 : 64
  const unit = (width - arcs - gap * (shown.length - 1)) / shown.reduce((sum, [column]) => sum + weights[column], 0)
  const tall = Math.max(...shown.map(([, own]) => own.reduce((sum, spot) => sum + heightOf(spot) + between, -between)))
  const boxes = new Map<Spot, Box>()
  const heads: Html[] = []
  let x = 1
  for (const [column, own] of shown) {
    const each = Math.floor(unit * weights[column])
    heads.push(html`<text class="m-head" x="${x + 1}" y="14">${titles[column]}</text>`)
    let y = heading + (tall - own.reduce((sum, spot) => sum + heightOf(spot) + between, -between)) / 2
    for (const spot of own) {
      boxes.set(spot, { x, y, width: each - 2, height: heightOf(spot) })
      y += heightOf(spot) + between
    }
    x += each + gap
  }
  return svg('wide', width, tall + heading + 4, view, boxes, (line) => sideways(line, boxes), heads)
}

/** One below the other, with lines beside them, for phones. */
export const narrowMap = (view: MapView): Html => {
  const boxes = new Map<Spot, Box>()
  const heads: Html[] = []
  let y = 0
  for (const [column, own] of view.drawing.spots) {
    heads.push(html`<text class="m-head" x="2" y="${y + 16}">${titles[column]}</text>`)
    y += 26
    for (const spot of own) {
      boxes.set(spot, { x: 1, y, width: 268, height: heightOf(spot) })
      y += heightOf(spot) + 8
    }
    y += 10
  }
  return svg('narrow', 346, y, view, boxes, (line) => around(line, boxes, y), heads)
}

const svg = (name: 'wide' | 'narrow', width: number, height: number, view: MapView, boxes: ReadonlyMap<Spot, Box>, path: (line: Line) => string, heads: readonly Html[]): Html => {
  const markers = ['plain', 'reads', 'writes', 'calls', 'flow'].flatMap((kind) => [false, true].map((least) => html`<marker id="${name}-${kind}${least && '-least'}" class="k-${kind}${least && ' least'}" viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M1 1 9 5 1 9z"/></marker>`))
  const drawn = view.drawing.lines.map((line) => {
    const kind = line.kind === 'reads' || line.kind === 'writes' || line.kind === 'calls' || line.kind === 'flow' ? line.kind : 'plain'
    return html`<path class="k-${kind}${!line.ran && ' idle'}" d="${path(line)}" stroke-width="${(1.4 + Math.min(2.6, Math.log2(line.count) / 3)).toFixed(2)}" marker-end="url(#${name}-${kind}${line.least && '-least'})"><title>${lineText(line)}</title></path>`
  })
  return html`<svg class="map m-${name}" viewBox="0 0 ${width} ${Math.ceil(height)}" width="${width}" height="${Math.ceil(height)}" role="group" aria-label="Map: who asked, in which session, what was done, and to what"><defs>${markers}</defs><g class="lines" aria-hidden="true">${drawn}</g>${heads}${[...boxes].map(([spot, box]) => boxOf(spot, box, view))}</svg>`
}

const lineText = ({ from, to, kind, count, ran, least }: Line): string => (kind === 'flow' ? `${said(from.name)} may have flowed into ${said(to.name)}` : `${said(from.name)} → ${said(to.name)}: ${kind === 'for' ? 'acted for' : kind === 'in' ? 'session' : kind}, ${count}×${ran ? '' : ', did not run'}${least ? ', at least' : ''}`)

const sideways = ({ from, to, kind }: Line, boxes: ReadonlyMap<Spot, Box>): string => {
  const [a, b] = [boxes.get(from)!, boxes.get(to)!]
  const [ay, by] = [a.y + boxHeight / 2, b.y + boxHeight / 2]
  if (kind === 'flow') return `M${a.x + a.width} ${ay}C${a.x + a.width + 48} ${ay} ${b.x + b.width + 48} ${by} ${b.x + b.width + 2} ${by}`
  const right = b.x > a.x
  const [x1, x2] = right ? [a.x + a.width, b.x - 2] : [a.x, b.x + b.width + 2]
  const bend = Math.abs(x2 - x1) * 0.5
  return `M${x1} ${ay}C${right ? x1 + bend : x1 - bend} ${ay} ${right ? x2 - bend : x2 + bend} ${by} ${x2} ${by}`
}

const around = ({ from, to }: Line, boxes: ReadonlyMap<Spot, Box>, height: number): string => {
  const [a, b] = [boxes.get(from)!, boxes.get(to)!]
  const [ay, by] = [a.y + boxHeight / 2 + 6, b.y + boxHeight / 2 - 6]
  const out = 26 + 64 * Math.min(1, Math.abs(by - ay) / Math.max(1, height))
  return `M${a.x + a.width} ${ay}C${a.x + a.width + out} ${ay} ${b.x + b.width + out} ${by} ${b.x + b.width + 2} ${by}`
}

/** As many characters as fit: the end of a name tells most where it is a table or a path. */
const fitted = (name: string, room: number, keepsEnd: boolean): string => {
  if (name.length <= room) return name
  return keepsEnd ? `…${name.slice(1 - room).toWellFormed()}` : `${cutAt(name, room - 1).text}…`
}

/** Two lines of a box: of an action what is done above what it is done to. */
const linesOf = (spot: Spot): readonly [name: string, detail: string] => {
  if (spot.kind === 'more') return [said(spot.name), spot.at]
  if (spot.kind !== 'action') return [said(spot.name), `${spot.kind} · ${said(spot.at.replace(/^https?:\/\//, ''))}`]
  const [verbs = '', ...rest] = spot.name.split(' ')
  return [verbs.split('+').map(verbText).join(' + '), rest.length > 0 ? said(rest.join(' ')) : said(spot.at)]
}

const boxOf = (spot: Spot, { x, y, width, height }: Box, { focus, link }: MapView): Html => {
  const isData = spot.column === 'data'
  const [name, detail] = linesOf(spot)
  const room = width - 26
  const inside = html`<rect width="${width}" height="${height}" rx="9"/><rect class="m-bar" width="5" height="${height}" rx="2.5"/><text class="m-name" x="15" y="21">${fitted(name, Math.floor(room / 7.4), isData)}</text><text class="m-detail" x="15" y="38">${fitted(detail, Math.floor(room / (spot.kind === 'action' ? 6.9 : 6.1)), spot.kind === 'action')}</text><title>${name}, ${detail}, ${said(spot.at)}</title>`
  const body = spot.node === undefined ? html`<g class="m-box">${inside}</g>` : html`<a class="m-box" href="${link(spot.node)}">${inside}</a>`
  const votes = spot.votes.map(({ by, say, count }, at) => html`<a class="m-vote v-${say}" href="${link(by.id)}"><rect x="10" y="${boxHeight - 4 + at * voteHeight}" width="${width - 18}" height="19" rx="5"/><text x="17" y="${boxHeight + 10 + at * voteHeight}">${signs[say]} ${fitted(`${said(by.name)}${count > 1 ? ` ×${count}` : ''}`, Math.floor((width - 44) / 6.4), false)}</text><title>${said(by.name)} ${sayWords[say]}</title></a>`)
  return html`<svg class="m-spot k-${spot.kind}${focus.has(spot.node ?? '') && ' is-focus'}" x="${x}" y="${y}" width="${width}" height="${height}">${body}${votes}</svg>`
}
