import type { Hold } from '../../model/hold.ts'
import type { Payload } from '../options.ts'
import { headline, said } from '../words.ts'
import { paragraph, preformatted, reasonInput, title, type Block, type PlainText } from './blocks.ts'
import { decidedText, textLabel } from './card.ts'
import { windowId, type windowData, type Verdict } from './interaction.ts'
import type { Copy } from './slack.ts'
import type { z } from 'zod'

/* Windows of one person: one that asks for a reason, one that says what became of a decision. */

export interface Window {
  readonly type: 'modal'
  readonly callback_id: string
  readonly private_metadata?: string
  readonly title: PlainText
  readonly submit?: PlainText
  readonly close: PlainText
  readonly blocks: readonly Block[]
}

export const reasonWindow = (hold: Hold, verdict: Verdict, copy: Copy, payload: Payload): Window => {
  const decided = decidedText(hold, payload)
  const data: z.infer<typeof windowData> = { hold: hold.id, digest: hold.action.digest, verdict, ...copy }
  const word = verdict === 'approve' ? 'Approve' : 'Deny'
  const asked = hold.terms.askReason
  return {
    type: 'modal',
    callback_id: windowId,
    private_metadata: JSON.stringify(data),
    title: title(`${word} ${hold.code}`),
    submit: title(word),
    close: title('Back'),
    blocks: [paragraph(`${headline(hold)} at ${said(hold.action.service)}`), ...(decided === undefined ? [] : [preformatted(textLabel(decided.hides), decided.text)]), reasonInput(asked ? 'Reason: the rule asks for one' : 'Reason', !asked)],
  }
}

export const noticeWindow = (text: string): Window => ({ type: 'modal', callback_id: 'countersign.notice', title: title('Nothing was decided'), close: title('Close'), blocks: [paragraph(text)] })
