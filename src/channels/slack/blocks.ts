import { cutAt } from '../../lib/visible.ts'

/*
 * The few blocks of Slack that we use, all of the classic kind, and their limits. Words of others are `plain_text` or text elements of `rich_text`:
 * neither is read as markup. `mrkdwn` is made in one place, and only of numbers.
 */

export interface PlainText {
  readonly type: 'plain_text'
  readonly text: string
  readonly emoji: false
}

interface TimeText {
  readonly type: 'mrkdwn'
  readonly text: string
  readonly verbatim: true
}

export interface Button {
  readonly type: 'button'
  readonly action_id: string
  readonly text: PlainText
  readonly value?: string
  readonly url?: string
  readonly style?: 'primary' | 'danger'
  readonly confirm?: { readonly title: PlainText; readonly text: PlainText; readonly confirm: PlainText; readonly deny: PlainText; readonly style: 'primary' | 'danger' }
}

interface RichElement {
  readonly type: 'text'
  readonly text: string
  readonly style?: { readonly bold: true }
}

export type Block =
  | { readonly type: 'header'; readonly text: PlainText }
  | { readonly type: 'section'; readonly text: PlainText }
  | { readonly type: 'section'; readonly fields: readonly PlainText[] }
  | { readonly type: 'context'; readonly elements: readonly (PlainText | TimeText)[] }
  | { readonly type: 'rich_text'; readonly elements: readonly { readonly type: 'rich_text_section' | 'rich_text_preformatted'; readonly elements: readonly RichElement[] }[] }
  | { readonly type: 'actions'; readonly elements: readonly Button[] }
  | { readonly type: 'input'; readonly block_id: string; readonly optional: boolean; readonly label: PlainText; readonly hint?: PlainText; readonly element: { readonly type: 'plain_text_input'; readonly action_id: string; readonly multiline: true; readonly max_length: number } }

/** What Slack takes. Whatever is longer is cut here, where it is seen, and not there. */
const most = { header: 150, field: 2_000, text: 3_000, button: 75, title: 24, confirmTitle: 100, confirmText: 300 }

const ellipsis = ' …'

const within = (text: string, length: number): string => {
  const { text: kept, cut } = cutAt(text, length)
  return cut ? `${cutAt(text, length - ellipsis.length).text}${ellipsis}` : kept
}

/** Slack refuses an empty text. */
const plain = (text: string, length: number): PlainText => ({ type: 'plain_text', text: within(text.trim() === '' ? '–' : text, length), emoji: false })

export const header = (text: string): Block => ({ type: 'header', text: plain(text, most.header) })

export const paragraph = (text: string): Block => ({ type: 'section', text: plain(text, most.text) })

/** Ten at most. */
export const fields = (pairs: readonly (readonly [label: string, text: string])[]): Block => ({ type: 'section', fields: pairs.slice(0, 10).map(([label, text]) => plain(`${label}\n${text}`, most.field)) })

export const context = (...texts: readonly string[]): Block => ({ type: 'context', elements: texts.slice(0, 10).map((text) => plain(text, most.text)) })

/** A time in the reader's own zone. */
export const timeContext = (label: 'Decide by' | 'Run by', at: number): Block => ({ type: 'context', elements: [{ type: 'mrkdwn', text: `${label} <!date^${Math.floor(at / 1_000)}^{date_short_pretty} {time_secs}|${new Date(at).toISOString()}>`, verbatim: true }] })

/** Under a label of ours, a text that is shown as it is. */
export const preformatted = (label: string, text: string, remark?: string): Block => ({
  type: 'rich_text',
  elements: [
    { type: 'rich_text_section', elements: [{ type: 'text', text: label, style: { bold: true } }, ...(remark === undefined ? [] : [{ type: 'text' as const, text: ` ${remark}` }])] },
    { type: 'rich_text_preformatted', elements: [{ type: 'text', text: text === '' ? ' ' : text }] },
  ],
})

export const button = (id: string, text: string, more: Pick<Button, 'value' | 'url' | 'style'> & { readonly confirm?: { readonly title: string; readonly text: string } } = {}): Button => {
  const { confirm, ...rest } = more
  return {
    type: 'button',
    action_id: id,
    text: plain(text, most.button),
    ...rest,
    ...(confirm === undefined ? {} : { confirm: { title: plain(confirm.title, most.confirmTitle), text: plain(confirm.text, most.confirmText), confirm: plain(text, 30), deny: plain('Back', 30), style: rest.style ?? 'primary' } }),
  }
}

export const actions = (...elements: readonly Button[]): Block => ({ type: 'actions', elements })

export const reasonInput = (label: string, optional: boolean): Block => ({
  type: 'input',
  block_id: 'reason',
  optional,
  label: plain(label, most.text),
  hint: plain('The requester, also an agent, reads it.', most.text),
  element: { type: 'plain_text_input', action_id: 'reason', multiline: true, max_length: 2_000 },
})

export const title = (text: string): PlainText => plain(text, most.title)
