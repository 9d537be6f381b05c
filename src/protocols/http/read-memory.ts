/** What is read is dealt with before anybody reads again: one buffer is enough for all connections through which little comes at a time. */
const shared = Buffer.allocUnsafeSlow(64 << 10)

/** From here on a piece is worth a buffer of its own. More than half of one, so that no two such pieces are in it. */
const worth = (32 << 10) + 1

/** Where a connection reads into. Small pieces are copied out of a buffer that all share; large ones go on as they are, in a buffer that is theirs. */
export interface ReadMemory {
  /** For the next read. */
  readonly buffer: Buffer
  /** The same bytes, to keep. `alone`: nobody else has a part of their memory. */
  take(piece: Buffer): { readonly piece: Buffer; readonly alone: boolean }
  /** So much was read. */
  turn(count: number): void
}

export const makeReadMemory = (): ReadMemory => {
  let buffer = shared
  let given = false
  return {
    get buffer() { return buffer },
    take(piece) {
      if (buffer === shared || piece.buffer !== buffer.buffer || piece.length < worth) return { piece: Buffer.from(piece), alone: false }
      given = true
      return { piece, alone: true }
    },
    turn(count) {
      if (count < worth) buffer = shared
      else if (given || buffer === shared) buffer = Buffer.allocUnsafeSlow(shared.length)
      given = false
    },
  }
}
