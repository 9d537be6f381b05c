/** Follows a WebSocket byte stream just far enough to know whether it stands between two frames, where a frame of ours may be put in. */
export interface FrameEdge {
  feed(chunk: Uint8Array): void
  between(): boolean
}

/**
 *   byte 0         byte 1                        then
 *   FIN RSV opcode │ MASK length(7) │ length 126: 2 bytes, 127: 8 bytes │ masking key 4 │ payload
 */
export const makeFrameEdge = (): FrameEdge => {
  let seen = 0 // bytes of the current header
  let wanted = 2
  let length = 0
  let lengthBytes = 0
  let payload = 0
  return {
    feed(chunk) {
      let at = 0
      while (at < chunk.length) {
        if (payload > 0) {
          const taken = Math.min(payload, chunk.length - at)
          payload -= taken
          at += taken
          continue
        }
        const byte = chunk[at++] as number
        if (seen === 1) {
          const short = byte & 0x7f
          lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
          length = lengthBytes === 0 ? short : 0
          wanted = 2 + lengthBytes + (byte & 0x80 ? 4 : 0)
        } else if (seen >= 2 && seen < 2 + lengthBytes) length = length * 256 + byte
        seen++
        if (seen === wanted && seen >= 2) {
          payload = length
          seen = 0
          wanted = 2
        }
      }
    },
    between: () => payload === 0 && seen === 0,
  }
}

/** An unmasked close frame, as a server sends it. */
export const closeFrame = (code: number, reason: string): Buffer => {
  const text = Buffer.from(reason).subarray(0, 123)
  const frame = Buffer.alloc(4 + text.length)
  frame[0] = 0x88
  frame[1] = 2 + text.length
  frame.writeUInt16BE(code, 2)
  text.copy(frame, 4)
  return frame
}
