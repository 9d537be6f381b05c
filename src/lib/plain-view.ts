import { visible } from './visible.ts'

/** What a text does to mislead whoever reads it. */
export type Ruse = 'hidden' | 'lookalike' | 'blanks'

export interface PlainView {
  readonly text: string
  readonly ruses: readonly Ruse[]
}

const word = /[\p{L}\p{M}\p{N}_]{2,}/gu
const latin = /\p{Script=Latin}/u
const foreign = /[\p{L}--\p{Script=Latin}]/v
const foreignAll = /[\p{L}--\p{Script=Latin}]/gv
const stacked = /\p{M}{3,}/gu
const oddBlank = /[\p{Zs}--[ ]]/gv
const longBlank = / {41,}/g
const emptyLines = /\n{5,}/g
const gap = /(?<!\\)(?:\\\\)*\\\{\d+ (?:spaces|empty lines)\}/
const spelled = /(?<!\\)(?:\\\\)*\\u\{/

const code = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
const codes = (characters: string): string => [...characters].map(code).join('')

/** A gap that would push what follows out of view: its length stands there instead. */
export const foldBlanks = (text: string): string => text.replace(longBlank, (run) => `\\{${run.length} spaces}`).replace(emptyLines, (run) => `\n\\{${run.length - 1} empty lines}\n`)

/** Letters that are ASCII in another dress (fullwidth, mathematical), and letters of another script inside of a Latin word. */
const unmasked = (text: string): string => {
  const plain = /^[\n\x20-\x7e]*$/.test(text) ? text : [...text].map((character) => (character > '\x7f' && /^[\x21-\x7e]+$/.test(character.normalize('NFKC')) ? code(character) : character)).join('')
  return plain.replace(word, (found) => (latin.test(found) && foreign.test(found) ? found.replace(foreignAll, code) : found)).replace(stacked, codes)
}

/**
 * A text for a window that does not scroll and whose font nobody knows: whatever could hide, pass for another letter, or push the rest out of view
 * is spelled out, `\u{…}` and `\{500 spaces}`. For texts whose backslashes are doubled already, so that nothing in them can pass for such a spelling.
 */
export const plainView = (text: string): PlainView => {
  const seen = visible(text).replace(oddBlank, code)
  const unlike = unmasked(seen)
  const folded = foldBlanks(unlike)
  const ruses: readonly (Ruse | false)[] = [spelled.test(seen) && 'hidden', unlike !== seen && 'lookalike', gap.test(folded) && 'blanks']
  return { text: folded, ruses: ruses.filter((ruse) => ruse !== false) }
}
