/** Pieces shorter than this are put together: a view of one byte takes as much memory as a hundred. */
const pieceBytes = 4_096

/** Longest answer that is kept for a repeat; a longer one is delivered once and not kept. */
const keptBytes = 1 << 20

export interface Keeper {
  head(status: number, headers: readonly string[]): void
  data(chunk: Buffer): void
  /** Whether what comes will still be kept. */
  useful(): boolean
  close(): Uint8Array | undefined
}

/**
 * An answer as it is kept:
 *
 *   4 bytes, big endian: length of the head │ head: JSON [status, flat headers] │ body
 */
export const makeKeeper = (limit = keptBytes): Keeper => {
  let head: Buffer | undefined
  let chunks: Buffer[] | undefined = []
  let length = 0
  let block: Buffer | undefined
  let filled = 0
  const gather = (): void => {
    if (block !== undefined && filled > 0) chunks?.push(block.subarray(0, filled))
    block = undefined
    filled = 0
  }
  return {
    head(status, headers) {
      // The length follows from the body that was kept.
      headers = headers.filter((_, n) => (headers[n - (n % 2)] as string).toLowerCase() !== 'content-length')
      head = Buffer.from(JSON.stringify([status, headers]))
    },
    data(chunk) {
      length += chunk.length
      if (length > limit) chunks = undefined
      if (chunks === undefined || chunk.length === 0) return
      if (chunk.length >= pieceBytes) {
        gather()
        chunks.push(chunk)
        return
      }
      block ??= Buffer.allocUnsafeSlow(pieceBytes)
      const fits = chunk.copy(block, filled)
      filled += fits
      if (filled < pieceBytes) return
      gather()
      if (fits < chunk.length) {
        block = Buffer.allocUnsafeSlow(pieceBytes)
        filled = chunk.copy(block, 0, fits)
      }
    },
    useful: () => chunks !== undefined,
    close() {
      if (head === undefined || chunks === undefined) return undefined
      gather()
      const size = Buffer.alloc(4)
      size.writeUInt32BE(head.length)
      return Buffer.concat([size, head, ...chunks])
    },
  }
}

export interface KeptReply {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: Buffer
}

export const readKept = (bytes: Uint8Array): KeptReply => {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = 4 + all.readUInt32BE(0)
  const [status, headers] = JSON.parse(all.toString('utf8', 4, end)) as [number, string[]]
  return { status, headers, body: all.subarray(end) }
}
