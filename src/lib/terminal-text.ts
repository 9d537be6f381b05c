/** Controls, formats (bidi, zero width), separators that start a line, and code points that are nothing. */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu

/** The text with every character that could move a cursor, reorder a line or hide spelled out as `\u{…}`. Backslashes are doubled, so nothing can pass for such a spelling. */
export const terminalText = (text: string): string =>
  text.replaceAll('\\', '\\\\').replace(unsafe, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
