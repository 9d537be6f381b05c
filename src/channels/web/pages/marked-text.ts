import { plainView } from '../../../lib/plain-view.ts'
import type { Protocol } from '../../../model/service.ts'
import { html, type Html } from './html.ts'

/** A piece of a text and what it is, in characters, in order. */
export interface Mark {
  readonly start: number
  readonly end: number
  readonly kind: 'keyword' | 'string' | 'number' | 'comment' | 'parameter' | 'name'
}

/** Marks the text of an action. Whatever is wrong with the marks, the whole text is shown, once and in order. */
export type MarkText = (text: string) => Promise<readonly Mark[]>

const joined = (text: string, marks: readonly Mark[]): readonly (string | Html)[] => {
  const parts: (string | Html)[] = []
  let at = 0
  for (const { start, end, kind } of marks) {
    if (!(start >= at && end > start && end <= text.length)) continue
    if (start > at) parts.push(text.slice(at, start))
    parts.push(html`<span class="t-${kind}">${text.slice(start, end)}</span>`)
    at = end
  }
  parts.push(text.slice(at))
  return parts
}

/** Values stand below the statement; a text that is not read as a whole may be read down to them. */
const readable = async (mark: MarkText, text: string): Promise<readonly Mark[]> => {
  const whole = await mark(text)
  const values = text.lastIndexOf('\n\n$1 = ')
  return whole.length > 0 || values < 0 ? whole : mark(text.slice(0, values))
}

/** The request line and the names of headers, down to the empty line before the body. */
const requestMarks = (text: string): readonly Mark[] => {
  const marks: Mark[] = []
  const head = text.split('\n\n', 1)[0] ?? ''
  let at = 0
  for (const [index, line] of head.split('\n').entries()) {
    const end = line.indexOf(index === 0 ? ' ' : ':')
    if (end > 0) marks.push({ start: at, end: at + end, kind: index === 0 ? 'keyword' : 'comment' })
    at += line.length + 1
  }
  return marks
}

/** What will run, as text and nothing else; what could hide in it is spelled out. */
export const markedText = async (protocol: Protocol, text: string, markSql: MarkText | undefined): Promise<Html> => {
  const { text: shown } = plainView(text)
  const marks = protocol === 'http' ? requestMarks(shown) : protocol === 'postgres' && markSql ? await readable(markSql, shown) : []
  return html`<pre class="code" tabindex="0"><code>${joined(shown, marks)}</code></pre>`
}
