import { deedOf } from '../../../audit/lineage/deed.ts'
import type { RecordData } from '../../../audit/record-data.ts'
import { said } from '../../words.ts'
import { html, type Html } from './html.ts'

const mostLinks = 6

/** From one action to the map: of who asked, and of what it touches. */
export const lineageLinks = (record: RecordData): Html | undefined => {
  const deed = deedOf(record)
  if (deed === undefined) return undefined
  const { who, touches } = deed
  const data = [...new Map(touches.map(({ node }) => [node.id, node])).values()].slice(0, mostLinks)
  return html`<section class="card lineage-links"><h2>Lineage</h2><ul><li><a href="/lineage?node=${who.id}&amp;from=7d">What ${said(who.name)} touched in a week</a></li>${data.map(({ id, name }) => html`<li><a href="/lineage?node=${id}&amp;from=7d">Who touched ${said(name)}</a></li>`)}</ul></section>`
}
