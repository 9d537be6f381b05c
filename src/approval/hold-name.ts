import { randomBytes } from 'node:crypto'
import type { Digest } from '../model/action.ts'

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** `hold_` and 128 random bits: names a hold, and cannot be guessed. */
export const holdId = (): string => {
  let bits = BigInt(`0x${randomBytes(16).toString('hex')}`)
  let text = ''
  for (let i = 0; i < 26; i++, bits >>= 5n) text = base32[Number(bits & 31n)] + text
  return `hold_${text}`
}

/** Whether a text from outside can be the name of a hold at all. */
export const isHoldId = (text: string): boolean => /^hold_[a-z2-7]{26}$/.test(text)

/** Crockford's digits and letters without vowels: nothing to misread aloud, and no words. 0-9 and 20 letters. */
const spoken = '0123456789BCDFGHJKMNPQRSTVWXYZ'

/** `CS-7F3K`: short enough to say on the telephone, the same wherever this action is shown. Names an action, proves nothing. */
export const shortCode = (digest: Digest): string => {
  let rest = BigInt(`0x0${digest.slice('sha256:'.length).replace(/[^0-9a-f]/gi, '')}`)
  let text = ''
  for (let i = 0; i < 4; i++, rest /= 30n) text = spoken[Number(rest % 30n)] + text
  return `CS-${text}`
}
