/** Controls, formats (bidi, zero width), separators, halves of surrogate pairs, private and unassigned code points, and whatever is drawn as nothing. */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}]/gu
const ordinary = /^[\n\x20-\x7e]*$/

/** Line feeds stay; every other character that could hide, reorder or erase is spelled out as `\u{…}`. For texts whose backslashes are doubled already, such as JSON. */
export const visible = (text: string): string =>
  ordinary.test(text) ? text : text.replace(hidden, (character) => (character === '\n' ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`))

/** The same with backslashes doubled, so that nothing in the text can pass for such a spelling. */
export const visibleRaw = (text: string): string => visible(text.includes('\\') ? text.replaceAll('\\', '\\\\') : text)

/** Of words that people type and agents, chats and terminals show: line feeds and tabs are all that controls anything in them. */
export const isPlainText = (text: string): boolean => text.isWellFormed() && !/[\p{Cc}\p{Cf}]/u.test(text.replaceAll(/[\n\t]/g, ''))

export interface Cut {
  readonly text: string
  readonly cut: boolean
}

/** At most so many characters, never half of a pair. */
export const cutAt = (text: string, most: number): Cut => {
  if (text.length <= most) return { text, cut: false }
  const last = text.charCodeAt(most - 1)
  return { text: text.slice(0, last >= 0xd800 && last <= 0xdbff ? most - 1 : most), cut: true }
}
