import { connect, type Socket } from 'node:net'
import { backend, readStatus } from '../../../../src/protocols/postgres/codec/backend.ts'
import { guardDiagnostic, guardNotification } from '../../../../src/protocols/postgres/rows/diagnostics.ts'
import type { Watch } from '../../../../src/protocols/postgres/rows/plan.ts'
import type { RowWriter } from '../../../../src/protocols/postgres/rows/writer.ts'

/** A connection without a driver: what the server says, byte by byte. */
export class Wire implements AsyncDisposable {
  readonly #socket: Socket
  #bytes: Buffer = Buffer.alloc(0)
  #arrived: () => void = () => undefined

  constructor(port: number, database = 'postgres') {
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      this.#arrived()
    })
    const body = Buffer.from(`\0\x03\0\0user\0postgres\0database\0${database}\0\0`)
    this.#socket.write(Buffer.concat([length(body.length + 4), body]))
  }

  /** Sends, and gives all bytes up to and with the ReadyForQuery that answers. */
  async exchange(...messages: readonly Buffer[]): Promise<Buffer> {
    if (messages.length > 0) this.#socket.write(Buffer.concat(messages))
    for (;;) {
      const end = readyEnd(this.#bytes)
      if (end !== undefined) {
        const answer = this.#bytes.subarray(0, end)
        this.#bytes = this.#bytes.subarray(end)
        return answer
      }
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy()
    return Promise.resolve()
  }
}

const length = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

export const message = (type: string, body: string | Buffer): Buffer => {
  const bytes = Buffer.from(body)
  return Buffer.concat([Buffer.from(type), length(bytes.length + 4), bytes])
}

export const query = (sql: string): Buffer => message('Q', `${sql}\0`)

/** Parse, Bind with all results in this format, Describe, Execute, Sync. */
export const extended = (sql: string, format: 0 | 1): readonly Buffer[] => [message('P', `\0${sql}\0\0\0`), message('B', Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, 0, format])), message('D', 'P\0'), message('E', '\0\0\0\0\0'), message('S', '')]

const readyEnd = (bytes: Buffer): number | undefined => {
  for (const { type, end } of framesOf(bytes)) if (type === backend.readyForQuery) return end
  return undefined
}

export function* framesOf(bytes: Buffer): Generator<{ readonly type: number; readonly start: number; readonly end: number; readonly bytes: Buffer }> {
  for (let start = 0; start + 5 <= bytes.length; ) {
    const end = start + 1 + bytes.readUInt32BE(start + 1)
    if (end > bytes.length) return
    yield { type: bytes[start] as number, start, end, bytes: bytes.subarray(start, end) }
    start = end
  }
}

/** What a session does with the server's bytes; rows come in pieces of `step` bytes. */
export const relay = (answer: Buffer, plan: Watch, step: number): { readonly shown: Buffer; readonly masked: number; readonly over: boolean } => {
  const out: Buffer[] = []
  let writer: RowWriter | undefined
  let [masked, over] = [0, false]
  for (const frame of framesOf(answer)) {
    if (frame.type === backend.rowDescription) {
      writer = plan.begin(frame.bytes)
      out.push(frame.bytes)
    } else if (frame.type === backend.dataRow) {
      if (writer === undefined) throw new Error('a row without a description')
      const before = writer.masked
      for (let at = 0; at < frame.bytes.length; at += step) writer.push(frame.bytes.subarray(at, at + step), 0, out)
      masked += writer.masked - before
      over ||= writer.over
    } else if (frame.type === backend.error || frame.type === backend.notice) out.push(plan.guarded ? guardDiagnostic(frame) : frame.bytes)
    else if (frame.type === backend.notification) out.push(guardNotification(frame, plan.guarded))
    else out.push(frame.bytes)
  }
  return { shown: Buffer.concat(out), masked, over }
}

/** The rows as text, and the errors by SQLSTATE. */
export const shownIn = (bytes: Buffer): { readonly rows: readonly (readonly (string | null)[])[]; readonly errors: readonly string[]; readonly status: string } => {
  const rows: (readonly (string | null)[])[] = []
  const errors: string[] = []
  let status = ''
  for (const frame of framesOf(bytes)) {
    if (frame.type === backend.dataRow) rows.push(fieldsOf(frame.bytes))
    if (frame.type === backend.error) errors.push(/\0C([0-9A-Z]{5})\0/.exec(frame.bytes.toString('latin1'))?.[1] ?? '?')
    if (frame.type === backend.readyForQuery) status = readStatus(frame)
  }
  return { rows, errors, status }
}

const fieldsOf = (row: Buffer): readonly (string | null)[] => {
  let at = 7
  return Array.from({ length: row.readUInt16BE(5) }, () => {
    const size = row.readInt32BE(at)
    at += 4
    if (size === -1) return null
    at += size
    return row.toString('utf8', at - size, at)
  })
}
