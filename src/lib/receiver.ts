/* What the receiver of a POST of ours says. */

const mostAnswerBytes = 64 * 1024

/** It asks to be left alone for a while. */
export class Busy extends Error {
  override readonly name = 'Busy'
  readonly retryAfterMs: number
  constructor(message: string, retryAfterMs: number) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

/** Only with the whole of its answer has a receiver answered. */
export const readText = async (body: AsyncIterable<Uint8Array>, most = mostAnswerBytes): Promise<string> => {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    if ((bytes += chunk.length) > most) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Of the header `Retry-After`, in milliseconds; `undefined`: it names no time. */
export const retryAfter = (header: string | string[] | undefined, { least, most }: { readonly least: number; readonly most: number }): number | undefined => {
  if (typeof header !== 'string') return undefined
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? Math.min(Math.max(ms, least), most) : undefined
}
