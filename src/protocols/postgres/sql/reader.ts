import { ReadingCache } from './cache.ts'
import { longTurn, shortText } from './long-turn.ts'
import { LongTexts, type Turn } from './long-texts.ts'
import { outlineOf } from './outline.ts'
import { makeParser } from './parser.ts'
import { patternIn, type SqlPattern } from './pattern.ts'
import type { Reading } from './reading.ts'
import { readWith, unread } from './read.ts'

export interface ReaderSettings {
  /** The longest text that is read at all, in characters. */
  readonly longest?: number
  /** Memory for readings of texts that come again, in bytes. */
  readonly cache?: number
}

export interface Reader extends Disposable {
  /** A text of at most `shortText` characters; a longer one is refused. */
  read(text: string): Reading
  /** Any text; a long one in its turn. Never fails: what cannot be read is one unknown statement. */
  readLater(text: string, turn?: Turn): Promise<Reading>
  /** What statements of its kind have in common; `undefined` for what has none, and for texts that are not read at once. */
  pattern(text: string): SqlPattern | undefined
  /** The text without its values; `undefined` where they cannot be told from the rest. */
  outline(text: string): string | undefined
}

/** It needs a moment: the parser has to be compiled. */
export const makeReader = async ({ longest = 4 * 1024 * 1024, cache: cacheBytes = 16 * 1024 * 1024 }: ReaderSettings = {}): Promise<Reader> => {
  const parser = await makeParser()
  const cache = new ReadingCache(cacheBytes)
  const longTexts = new LongTexts()

  const kept = (text: string, reading: Reading): Reading => {
    cache.offer(text, reading)
    return reading
  }
  const read = (text: string): Reading => {
    if (text.length > shortText) return unread(text, 'it is too long to be read at once')
    return cache.get(text) ?? kept(text, readWith(parser, text))
  }
  const readLater: Reader['readLater'] = async (text, turn) => {
    if (text.length <= shortText) return read(text)
    const known = cache.get(text)
    if (known !== undefined) return known
    const reading = text.length > longest ? unread(text, `it is longer than ${longest} characters`) : await longTexts.read(text, turn)
    await longTurn(text.length)
    return kept(text, reading)
  }
  const pattern = (text: string): SqlPattern | undefined => (text.length > shortText ? undefined : patternIn(text, parser))
  const outline = (text: string): string | undefined => outlineOf(text, parser)
  return { read, readLater, pattern, outline, [Symbol.dispose]: () => longTexts.close() }
}
