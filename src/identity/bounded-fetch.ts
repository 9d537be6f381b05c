/** As much of `fetch` as identity uses. */
export type Fetch = (url: string, init: FetchInit) => Promise<{ readonly status: number; readonly body: AsyncIterable<Uint8Array> | null }>

export interface FetchInit {
  readonly method: 'GET' | 'POST'
  readonly headers: Record<string, string>
  readonly body?: string
  readonly redirect: 'manual'
  readonly signal: AbortSignal
}

/** `reachable`: somebody answered, and the answer is not one we take. */
export class FetchProblem extends Error {
  override readonly name = 'FetchProblem'
  readonly reachable: boolean
  constructor(message: string, reachable: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.reachable = reachable
  }
}

export interface FetchLimits {
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly signal: AbortSignal
}

/** The body of a 200, whole. No redirect is followed; reading stops at the byte that is too many. */
export const fetchBytes = async (fetch: Fetch, url: string, request: Pick<FetchInit, 'method' | 'headers' | 'body'>, limits: FetchLimits): Promise<Uint8Array> => {
  const signal = AbortSignal.any([limits.signal, AbortSignal.timeout(limits.timeoutMs)])
  try {
    const response = await fetch(url, { ...request, redirect: 'manual', signal })
    if (response.status !== 200) {
      await discard(response.body)
      const redirected = response.status >= 300 && response.status < 400
      throw new FetchProblem(redirected ? `a redirect (${response.status}), which is never followed` : `status ${response.status}`, response.status < 500)
    }
    return await readUpTo(response.body, limits.maxBytes)
  } catch (error) {
    if (error instanceof FetchProblem) throw error
    throw new FetchProblem(signal.aborted ? `no answer within ${limits.timeoutMs} ms` : 'no connection', false, error)
  }
}

const readUpTo = async (body: AsyncIterable<Uint8Array> | null, maxBytes: number): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > maxBytes) throw new FetchProblem(`more than ${maxBytes} bytes`, true) // leaving the loop cancels the rest
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

/** Lets the connection go without reading what it still carries. */
const discard = async (body: AsyncIterable<Uint8Array> | null): Promise<void> => {
  await body?.[Symbol.asyncIterator]().return?.(undefined)
}
