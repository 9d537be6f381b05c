import type { Mask } from '../model/decision.ts'

/*
 * What stands in place of a value. A mask never keeps the length of what it hides, and each is recognised again, so that a masked value
 * that comes back in a write is refused instead of stored.
 *
 *   redact    ******
 *   hash      masked:0123456789abcdef0123456789abcdef     equal values, equal masks: they can still be joined and counted
 *   partial   a****@e****.com   ****6789   ****th         for people who must recognise a value that they know already
 */

/** A keyed digest as lower-case hex, 32 digits or more. The key stays outside. */
export type Digest = (value: Uint8Array) => string

/** Longer values are redacted, whatever their mask: reading them whole would cost more than their mask is worth. */
export const LONGEST_MASKED = 65_536

/** No mask is longer, in characters and in bytes but for the letters that `partial` keeps. */
export const LONGEST_MASK = 96

export const REDACTED = '******'
const HIDDEN = '****'
const HASHED = 'masked:'
/** Of a hash that does not fit. */
const FEWEST_DIGITS = 16

const STRICTNESS: Readonly<Record<Mask, number>> = { none: 0, partial: 1, hash: 2, redact: 3 }

export const stricter = (a: Mask, b: Mask): Mask => (STRICTNESS[a] >= STRICTNESS[b] ? a : b)

/** The text in place of a value. `bytes`: the value as UTF-8. */
export const masked = (mask: Exclude<Mask, 'none'>, bytes: Uint8Array, digest: Digest): string => {
  if (mask === 'redact' || bytes.length > LONGEST_MASKED) return REDACTED
  return mask === 'hash' ? HASHED + hexOf(digest(bytes)) : partial(decoder.decode(bytes))
}

/** A mask for a place that holds no more than so many letters: what still is recognised, `undefined` where nothing is. */
export const fitted = (shown: string, letters: number): string | undefined => {
  if ([...shown].length <= letters) return shown
  if (shown.startsWith(HASHED) && letters >= HASHED.length + FEWEST_DIGITS) return shown.slice(0, letters)
  return [REDACTED, HIDDEN].find((shorter) => shorter.length <= letters)
}

const decoder = new TextDecoder('utf-8')

const hexOf = (digest: string): string => {
  if (!/^[0-9a-f]{32}/.test(digest)) throw new Error('a digest for masks is lower-case hex, 32 digits or more')
  return digest.slice(0, 32)
}

/** An address keeps the first letter of both halves and its top-level domain; anything else its last 4 of 12 characters or more, its last 2 of 6 or more. */
const partial = (text: string): string => {
  const address = /^([^@\s])[^@\s]*@([^@\s.])[^@\s]*(\.[A-Za-z]{2,16})$/u.exec(text)
  if (address !== null) return `${address[1]}${HIDDEN}@${address[2]}${HIDDEN}${address[3]}`
  const letters = text.match(/[\p{L}\p{N}]/gu) ?? []
  const kept = letters.length >= 12 ? 4 : letters.length >= 6 ? 2 : 0
  return HIDDEN + letters.slice(letters.length - kept).join('')
}

const RECOGNISED = /^(?:\*{6}|masked:[0-9a-f]{16,32}|[^@\s]\*{4}@[^@\s.]\*{4}\.[A-Za-z]{2,16}|\*{4}(?:[\p{L}\p{N}]{2}|[\p{L}\p{N}]{4})?)$/u

/** Whether a text is what a mask looks like, and not a value. Blanks around it do not count. */
export const isMasked = (text: string): boolean => text.length <= LONGEST_MASK && RECOGNISED.test(text.trim())
