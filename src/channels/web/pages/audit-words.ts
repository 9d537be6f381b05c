import type { RecordData } from '../../../audit/record-data.ts'
import { said, timeText, verbText } from '../../words.ts'
import { html, type Html } from './html.ts'

/* What records say, in words for people. Every value of them is a stranger's. */

const part = (value: unknown): RecordData => (typeof value === 'object' && value !== null ? (value as RecordData) : {})

/** `hold-expired` as people read it. */
export const typeText = (type: unknown): string => {
  const words = said(String(type)).replaceAll('-', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** To the second: records of one minute are many. */
export const precise = (time: unknown): Html => html`<time datetime="${String(time)}">${String(time).slice(0, 19).replace('T', ' ')}</time>`

const someone = (value: unknown): string => {
  const { name, email, subject } = part(value)
  return said(String(name ?? email ?? subject ?? 'somebody'))
}

const verdicts: Readonly<Record<string, string>> = { allow: 'allowed by the rules', hold: 'held by a rule', deny: 'denied by the rules' }

const ended = (outcome: RecordData): string => [said(String(outcome['result'])), outcome['status'] === undefined ? '' : said(String(outcome['status'])), typeof outcome['rows'] === 'number' ? `${outcome['rows']} ${outcome['rows'] === 1 ? 'row' : 'rows'}` : ''].filter(Boolean).join(', ')

/** One step of an action, in one line. */
export const stepText = (record: RecordData): string => {
  const { vote, by, outcome, decision, caller, action, deadline } = record
  switch (record['type']) {
    case 'decided': return `${someone(caller)} asked for ${verbText(String(part(action)['verb']))}: ${verdicts[String(part(decision)['verdict'])] ?? 'decided'}`
    case 'held': return `Waits for approval${typeof deadline === 'number' ? `, until ${timeText(deadline)}` : ''}`
    case 'attached': return `${someone(caller)} asked for the same again`
    case 'voted': return `${someone(part(vote)['by'])} ${part(vote)['verdict'] === 'approve' ? 'approved' : 'denied'} by ${said(String(part(vote)['channel']))}`
    case 'vote-refused': return `A vote of ${someone(by)} did not count: ${said(String(record['refusal']))}`
    case 'broke-glass': return `${someone(part(vote)['by'])} broke the glass`
    case 'released': return 'Released to run'
    case 'started': return 'Started'
    case 'finished': return `Ended: ${ended(part(outcome))}`
    case 'outcome-unknown': return 'Nobody knows how it ended'
    case 'refused': return `Refused: ${said(String(record['code']))}`
    case 'audit-read': return `${someone(by)} read the audit log: ${said(String(record['query']))}`
    case 'audit-read-refused': return `${someone(by)} was refused to read the audit log: ${said(String(record['query']))}`
    case 'audit-exported': return `${someone(by)} ${record['end'] === undefined ? 'began to export from' : record['end'] === 'whole' ? `exported ${String(record['records'])} records of` : 'did not get the whole export of'} the audit log: ${said(String(record['query']))}`
    default: return `${typeText(record['type'])}${by === undefined ? caller === undefined ? '' : `: ${someone(caller)}` : `: ${someone(by)}`}`
  }
}
