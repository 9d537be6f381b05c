import { fitted, masked, REDACTED, type Digest } from '../../../masking/mask.ts'
import type { Mask } from '../../../model/decision.ts'
import type { FieldMask } from './masking-writer.ts'

const text = 25
const fixed = 1042
const varying = 1043
/** `text`, `varchar`, `char(n)`, `name` and what has no type yet: any bytes are a value of them, and the same in both formats. */
const TEXTS: ReadonlySet<number> = new Set([text, fixed, varying, 19, 705])

const NULL = Buffer.from([0xff, 0xff, 0xff, 0xff])

/** What a mask does to a column of this type. A type or a length that has no value which says "masked" gives NULL. */
export const fieldMask = (mask: Mask, type: number, modifier: number, digest: Digest): FieldMask => {
  if (mask === 'none') return undefined
  if (!TEXTS.has(type)) return NULL
  // The length that was declared stands four above the number of letters.
  const letters = (type === fixed || type === varying) && modifier >= 4 ? modifier - 4 : undefined
  const fit = (shown: string): Buffer => {
    if (letters === undefined) return field(shown)
    const fits = fitted(shown, letters)
    return fits === undefined ? NULL : field(type === fixed ? fits + ' '.repeat(letters - [...fits].length) : fits)
  }
  if (mask === 'redact') return fit(REDACTED)
  return (value) => fit(masked(mask, value, digest))
}

const field = (shown: string): Buffer => {
  const size = Buffer.byteLength(shown)
  const bytes = Buffer.allocUnsafe(4 + size)
  bytes.writeInt32BE(size)
  bytes.write(shown, 4)
  return bytes
}
