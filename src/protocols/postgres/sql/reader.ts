import { makeParser } from './parser.ts'
import type { Reading } from './reading.ts'
import { readWith, unread } from './read.ts'

/** Longer texts are read beside the event loop. A shorter one cannot be nested deeply enough to overflow the parser's stack. */
export const shortText = 6 * 1024

/** The longest text that is read at all, unless told. */
export const longestText = 4 * 1024 * 1024

export interface Reader {
  /** A text of at most `shortText` characters; a longer one is refused. */
  read(text: string): Reading
  /** Any text, in its turn. Never fails: what cannot be read is one unknown statement. */
  readLater(text: string): Promise<Reading>
}

export const makeReader = async (): Promise<Reader> => {
  const parser = await makeParser()
  const read = (text: string): Reading => (text.length > shortText ? unread(text, 'it is too long to be read at once') : readWith(parser, text))
  return { read, readLater: async (text) => (text.length > longestText ? unread(text, `it is longer than ${longestText} characters`) : readWith(parser, text)) }
}
