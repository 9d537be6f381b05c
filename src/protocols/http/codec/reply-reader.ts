import { isFieldValue, isToken } from './header-names.ts'

/** What came is not one answer to the request, or could be read in more than one way. */
export class BadReply extends Error {
  override readonly name = 'BadReply'
}

export interface ReplyEvents {
  /** Flat name and value pairs as they came. Both may answer false: then nothing more is told until `resume`. */
  head(status: number, headers: string[]): boolean
  /** A view of what was pushed, good during the call. */
  data(piece: Buffer): boolean
  end(): void
}

/** Reads the answers of one connection, one at a time, and only those that were asked for. Whatever is not plainly HTTP/1.1 throws `BadReply`. */
export interface ReplyReader {
  /** A request was sent. `bodiless`: its answer has no body, whatever its head says. */
  begin(bodiless: boolean): void
  push(bytes: Buffer): void
  /** The connection has ended: so has an answer that lasts until then. Any other throws. */
  finish(): void
  /** Goes on after a pause. */
  resume(): void
  readonly paused: boolean
  /** Whether the connection may carry another request, and for how long the upstream says to keep it. */
  readonly reusable: boolean
  readonly keepMs: number | undefined
}

/** Line ends counted. */
const longestHead = 16_384
const longestSizeLine = 4_096
const mostInterim = 20

type State = 'silent' | 'head' | 'counted' | 'size' | 'chunk' | 'chunk end' | 'trailers' | 'until the end'

export const makeReplyReader = (events: ReplyEvents): ReplyReader => {
  let state: State = 'silent'
  let bodiless = false
  let reusable = false
  let keepMs: number | undefined
  let paused = false
  let finished = false
  let interim = 0
  /** An interim answer has said that the connection ends behind the one that follows. */
  let isLast = false
  let trailing = 0
  /** Of the body, or of the chunk. */
  let left = 0
  /** What cannot be read yet. */
  let kept: Buffer | undefined

  const end = (): void => {
    state = 'silent'
    paused = false
    events.end()
  }

  const head = (bytes: Buffer, at: number): number => {
    const close = bytes.indexOf('\r\n\r\n', at)
    const length = (close < 0 ? bytes.length : close + 4) - at
    if (length > longestHead) throw new BadReply('the head of the answer is too long')
    if (close < 0) {
      if (/(?:^|[^\r])\n/.test(bytes.toString('latin1', at))) throw new BadReply('the head of the answer has a bare line feed')
      return -1
    }
    const reply = readHead(bytes.toString('latin1', at, close))
    if (reply.status < 200) {
      if (reply.status === 101) throw new BadReply('the service changed the protocol, and was not asked to')
      if (!reply.reusable) isLast = true // it speaks of the answer that follows
      if (++interim > mostInterim) throw new BadReply('too many interim answers')
      return close + 4
    }
    keepMs = reply.keepMs
    reusable = reply.reusable && !isLast
    const { status, framing } = reply
    const none = bodiless || status === 204 || status === 304
    left = framing === 'chunked' || framing === 'until the end' ? 0 : framing
    state = none ? 'silent' : framing === 'chunked' ? 'size' : framing === 'until the end' ? framing : 'counted'
    if (state === 'until the end') reusable = false
    paused = !events.head(status, reply.headers)
    if (none || (state === 'counted' && left === 0)) end()
    return close + 4
  }

  const body = (bytes: Buffer, at: number): number => {
    const to = state === 'until the end' ? bytes.length : Math.min(bytes.length, at + left)
    left -= to - at
    paused = !events.data(at === 0 && to === bytes.length ? bytes : bytes.subarray(at, to))
    if (left > 0 || state === 'until the end') return to
    if (state === 'chunk') state = 'chunk end'
    else end()
    return to
  }

  const line = (bytes: Buffer, at: number): string | undefined => {
    const close = bytes.indexOf('\r\n', at)
    if ((close < 0 ? bytes.length - 1 : close) - at > longestSizeLine) throw new BadReply('a line between chunks is too long')
    return close < 0 ? undefined : bytes.toString('latin1', at, close)
  }

  const size = (bytes: Buffer, at: number): number => {
    const text = line(bytes, at)
    if (text === undefined) return -1
    const digits = sizeLine.exec(text)?.[1]
    if (digits === undefined) throw new BadReply('the size of a chunk is not a number')
    left = Number.parseInt(digits, 16)
    state = left === 0 ? 'trailers' : 'chunk'
    trailing = 0
    return at + text.length + 2
  }

  const chunkEnd = (bytes: Buffer, at: number): number => {
    if (bytes.length - at < 2) return -1
    if (bytes[at] !== 13 || bytes[at + 1] !== 10) throw new BadReply('a chunk is longer than its size')
    state = 'size'
    return at + 2
  }

  /** Read, and told to nobody. */
  const trailer = (bytes: Buffer, at: number): number => {
    const text = line(bytes, at)
    if (text === undefined) return -1
    trailing += text.length
    if (trailing > longestHead) throw new BadReply('the trailers are too long')
    if (text === '') end()
    else if (/^(?:content-length|transfer-encoding)$/i.test(fieldOf(text)[0])) throw new BadReply('the trailers speak of the framing')
    return at + text.length + 2
  }

  const step = (bytes: Buffer, at: number): number => {
    switch (state) {
      case 'head': return head(bytes, at)
      case 'counted': case 'chunk': case 'until the end': return body(bytes, at)
      case 'size': return size(bytes, at)
      case 'chunk end': return chunkEnd(bytes, at)
      case 'trailers': return trailer(bytes, at)
      default: throw new BadReply('more came than the answer')
    }
  }

  const push = (pushed: Buffer): void => {
    const bytes = kept === undefined ? pushed : Buffer.concat([kept, pushed])
    kept = undefined
    let at = 0
    while (at < bytes.length && !paused) {
      const next = step(bytes, at)
      if (next < 0) break
      at = next
    }
    if (at < bytes.length) kept = Buffer.from(bytes.subarray(at))
  }

  const finish = (): void => {
    finished = true
    if (paused) return
    if (state !== 'until the end') throw new BadReply(state === 'head' ? 'the service closed the connection and did not answer' : 'the service closed the connection within its answer')
    end()
  }

  return {
    begin(none) {
      state = 'head'
      bodiless = none
      interim = 0
      isLast = false
      finished = false
    },
    push,
    finish,
    resume() {
      if (!paused) return
      paused = false
      if (kept !== undefined) push(nothing)
      if (finished && !paused && state !== 'silent') finish()
    },
    get paused() { return paused },
    get reusable() { return reusable },
    get keepMs() { return keepMs },
  }
}

/** The size of a chunk, and extensions that mean nothing to us. */
const sizeLine = /^([\da-f]{1,13})(?:;[!#$%&'*+.^`|~\w-]+(?:=(?:[!#$%&'*+.^`|~\w-]+|"[\t\x20!\x23-\x5b\x5d-\x7e\x80-\xff]*"))?)*$/i

const nothing = Buffer.alloc(0)

interface ReplyHead {
  readonly status: number
  readonly headers: string[]
  readonly framing: number | 'chunked' | 'until the end'
  readonly reusable: boolean
  readonly keepMs: number | undefined
}

const readHead = (text: string): ReplyHead => {
  const lines = text.split('\r\n')
  const first = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/.exec(lines[0] as string)
  if (first === null) throw new BadReply('the answer does not begin with a status line')
  if (first[1] === '0' && Number(first[2]) < 200) throw new BadReply('the service sends an interim answer, which its version of the protocol does not have')
  const headers: string[] = []
  let length: string | undefined
  let lengthAt = 0
  let coding: string | undefined
  let reusable = first[1] === '1'
  let keepMs: number | undefined
  for (let n = 1; n < lines.length; n++) {
    const [name, value] = fieldOf(lines[n] as string)
    headers.push(name, value)
    // Only names of these lengths are looked at more closely.
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      if (length !== undefined) throw new BadReply('the answer has two lengths')
      length = value
      lengthAt = headers.length - 2
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      if (coding !== undefined) throw new BadReply('the answer is encoded twice')
      if ((lines[n] as string).includes('\t')) throw new BadReply('a tab stands beside the transfer coding, and readers differ about what that means')
      coding = value
    } else if (name.length === 10) {
      const lower = name.toLowerCase()
      if (lower === 'connection' && /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i.test(value)) reusable = false
      else if (lower === 'keep-alive') keepMs = Number(/(?:^|[,\t ])timeout=(\d{1,6})(?:[,\t ]|$)/i.exec(value)?.[1] ?? Number.NaN) * 1_000
    }
  }
  if (coding !== undefined && length !== undefined) throw new BadReply('the answer has a length and chunks')
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || first[1] === '0')) throw new BadReply('the only transfer coding understood here is chunked')
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw new BadReply('the length of the answer is not a number')
  const framing = coding !== undefined ? 'chunked' : length !== undefined ? Number(length) : 'until the end'
  // Nobody may wait for what does not come; nor may it come for somebody else.
  if (first[2] === '204' && framing !== 'until the end' && framing !== 0) {
    reusable = false
    if (framing !== 'chunked') headers.splice(lengthAt, 2)
  }
  return { status: Number(first[2]), headers, framing, reusable, keepMs: keepMs !== undefined && Number.isFinite(keepMs) ? keepMs : undefined }
}

const fieldOf = (line: string): [name: string, value: string] => {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(0, colon))
  const value = withoutBlanks(line, colon + 1)
  if (!isToken(name) || !isFieldValue(value)) throw new BadReply('a header of the answer is not valid')
  return [name, value]
}

const isBlank = (code: number): boolean => code === 32 || code === 9

const withoutBlanks = (line: string, from: number): string => {
  let to = line.length
  while (from < to && isBlank(line.charCodeAt(from))) from++
  while (to > from && isBlank(line.charCodeAt(to - 1))) to--
  return line.slice(from, to)
}
