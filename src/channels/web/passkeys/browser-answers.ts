import { z } from 'zod'
import { JsonProblem, parseStrictJson } from '../../../lib/strict-json.ts'
import { PasskeyProblem } from '../../../lib/webauthn.ts'

/* What the script of a page writes into a form of what the browser gave it: JSON of bytes in base64url. */

const bytes = (most: number) => z.string().min(1).max(most).refine((text) => Buffer.from(text, 'base64url').toString('base64url') === text)

const made = z.strictObject({ clientData: bytes(3_000), authenticatorData: bytes(6_000), publicKey: bytes(1_500) })
const signed = z.strictObject({ passkey: bytes(1_400), clientData: bytes(3_000), authenticatorData: bytes(6_000), signature: bytes(700) })

export const readMade = (text: string | undefined): z.infer<typeof made> => read(made, text)
export const readSigned = (text: string | undefined): z.infer<typeof signed> => read(signed, text)

const read = <T>(schema: z.ZodType<T>, text = ''): T => {
  try {
    const result = schema.safeParse(parseStrictJson(Buffer.from(text), 4))
    if (result.success) return result.data
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
  }
  throw new PasskeyProblem('the browser gave no answer of a passkey')
}
