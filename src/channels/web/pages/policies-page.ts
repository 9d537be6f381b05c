import type { MatchedRule, Verdict } from '../../../model/decision.ts'
import { said } from '../../words.ts'
import { html, type Html } from './html.ts'

/** The policies that decide now. */
export interface PoliciesShown {
  readonly version: string
  readonly rules: readonly MatchedRule[]
  /** What stands in the files that they were read from. */
  readonly files: readonly { readonly file: string; readonly text: string }[]
}

const verdicts: Readonly<Record<Verdict, readonly [sign: string, state: string, text: string]>> = { allow: ['✓', 'executed', 'allow'], hold: ['◔', 'pending', 'hold'], deny: ['✕', 'denied', 'deny'] }

const placeOf = ({ at }: MatchedRule): readonly [file: string, line: number] => {
  const [, file = at, line = '0'] = /^(.*):(\d+)$/s.exec(at) ?? []
  return [file, Number(line)]
}

/** Each policy with its rules, in the order of its file, and the file itself. */
export const policiesPage = ({ version, rules, files }: PoliciesShown): Html => {
  const policies = new Map<string, MatchedRule[]>()
  for (const rule of rules) policies.set(rule.policy, [...(policies.get(rule.policy) ?? []), rule])
  const names = [...policies.keys()].toSorted()
  const source = (file: string): string | undefined => files.find((one) => one.file === file)?.text
  return html`<header class="inbox-head"><h1>Policies</h1><p class="hint">These decide now. Deny beats hold beats allow, and what no rule names is denied. Version <code>${said(version.slice(0, 19))}</code></p></header>
${names.length === 0 && html`<div class="empty"><h2>No policy is loaded</h2><p>So everything is denied.</p></div>`}
${names.map((name) => {
    const inOrder = (policies.get(name) ?? []).toSorted((a, b) => placeOf(a)[1] - placeOf(b)[1])
    const file = inOrder[0] === undefined ? '' : placeOf(inOrder[0])[0]
    const text = source(file)
    return html`<section class="card policy"><h2>${said(name)} <small>${said(file)}</small></h2>
<ul class="rules">${inOrder.map(ruleItem)}</ul>
${text !== undefined && html`<details><summary>The file</summary><pre class="pattern" tabindex="0">${said(text)}</pre></details>`}</section>`
  })}`
}

const ruleItem = (rule: MatchedRule): Html => {
  const [sign, state, text] = verdicts[rule.then]
  return html`<li><span class="badge s-${state}"><span aria-hidden="true">${sign}</span> ${text}</span> <b>${said(rule.rule)}</b>${rule.observed && html` <span class="tag">only observes</span>`} <small>line ${placeOf(rule)[1]}</small>${rule.because !== undefined && html`<p class="because">${said(rule.because)}</p>`}${rule.instead !== undefined && html`<p class="hint">Instead: ${said(rule.instead)}</p>`}</li>`
}
