import { list, part, parts, text, type RecordData } from '../../../audit/record-data.ts'
import { said } from '../../words.ts'
import { html, type Html } from './html.ts'

const names = (value: unknown): string => list(value).filter((one) => typeof one === 'string').join(', ')

const reason = (rule: RecordData): Html => {
  const { key, saw } = part(rule['missed'])
  const [lines, reads] = [names(rule['lines']), names(rule['reads'])]
  const missed = text(key)
  return html`<li><b>${said(`${String(rule['policy'])}/${String(rule['rule'])}`)}</b> <small>${said(String(rule['at']))}, ${said(String(rule['then']))}</small><br>${rule['matched'] === true ? 'It matched' : 'It came near'}${lines !== '' && `: its ${said(lines)} fitted`}${missed !== undefined && `, its ${said(missed)} did not${text(saw) === undefined ? '' : ` (it saw ${said(String(saw))})`}`}.${reads !== '' && html` <small>Its condition looks at ${said(reads)}.</small>`}${rule['broke'] === true && html` <small>Its condition failed, which counts against the caller.</small>`}</li>`
}

/** Why it was decided so, as it was recorded. `all`: of the same action. */
export const reasonsCard = (record: RecordData, all: readonly RecordData[], id: string): Html | undefined => {
  const reasons = [record, ...all].map((one) => one['reasons']).find((one) => one !== undefined)
  if (reasons === undefined) return undefined
  const { rules, more } = part(reasons)
  return html`<section class="card" id="why"><h2>Why</h2><ul class="progress">${parts(rules).map(reason)}</ul>${typeof more === 'number' && html`<p class="hint">${more} more rules came less near.</p>`}<p class="hint">Decide it again, by the policies of then:</p><pre class="cli" tabindex="0">countersign audit explain ${id}</pre></section>`
}
