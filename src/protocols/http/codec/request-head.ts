import { isFieldValue, isToken } from './header-names.ts'

/** How much of a body follows: none, a length, or chunks until a last one. */
export type RequestFraming = 'none' | number | 'chunks'

/** Servers expect a body here, and want to be told that there is none. */
const usuallyWithBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'PROPFIND', 'PROPPATCH', 'QUERY'])
/** Some servers do not expect a body here and take it for the next request: it must be the last thing on its connection, and say so. */
const seldomWithBody: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE'])

/** Ours to say, once. */
const framingNames = /^(?:content-length|transfer-encoding|connection)$/i

export interface RequestHead {
  readonly text: string
  /** It says that nothing comes after it on its connection. */
  readonly isLast: boolean
}

/** A request up to its body, in latin1. `headers` is flat, and complete but for the framing. Throws for what would be more than one request. */
export const requestHead = (method: string, target: string, headers: readonly string[], framing: RequestFraming): RequestHead => {
  let text = `${method} ${target} HTTP/1.1\r\n`
  let valid = isToken(method) && /^[\x21-\x7e\x80-\xff]+$/.test(target)
  for (let n = 0; n < headers.length; n += 2) {
    const name = headers[n] as string
    const value = headers[n + 1] as string
    valid &&= isToken(name) && isFieldValue(value) && !framingNames.test(name)
    text += `${name}: ${value}\r\n`
  }
  if (!valid) throw new Error('this cannot be written as one request')
  const hasBody = framing === 'chunks' || (framing !== 'none' && framing > 0)
  const length = framing === 'chunks' ? 'transfer-encoding: chunked\r\n' : hasBody || usuallyWithBody.has(method) ? `content-length: ${framing === 'none' ? 0 : framing}\r\n` : ''
  const isLast = hasBody && seldomWithBody.has(method)
  return { text: `${text}connection: ${isLast ? 'close' : 'keep-alive'}\r\n${length}\r\n`, isLast }
}
