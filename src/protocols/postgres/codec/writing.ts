/** A string stands for its UTF-8 without an end; write the NUL where there must be one. */
export type Part = string | Buffer

export const int32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

export const int16 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(2)
  bytes.writeUInt16BE(value)
  return bytes
}

/** A text and its end. What holds a NUL would say something else to the other side. */
export const cstring = (text: string): string => {
  if (text.includes('\0')) throw new Error('a text with a NUL inside cannot be sent')
  return `${text}\0`
}

const sizeOf = (part: Part): number => (typeof part === 'string' ? Buffer.byteLength(part) : part.length)

const write = (offset: number, head: (bytes: Buffer, length: number) => void, parts: readonly Part[]): Buffer => {
  let length = 4
  for (const part of parts) length += sizeOf(part)
  const bytes = Buffer.allocUnsafe(offset + length)
  head(bytes, length)
  let at = offset + 4
  for (const part of parts) at += typeof part === 'string' ? bytes.write(part, at) : part.copy(bytes, at)
  return bytes
}

/** A message with its type. */
export const message = (type: number, ...parts: readonly Part[]): Buffer =>
  write(1, (bytes, length) => {
    bytes[0] = type
    bytes.writeInt32BE(length, 1)
  }, parts)

/** A first packet: no type. */
export const packet = (...parts: readonly Part[]): Buffer => write(0, (bytes, length) => void bytes.writeInt32BE(length, 0), parts)

/** What lies side by side in memory is one piece: most of what a client says passes as it came. */
export const joined = (pieces: readonly Buffer[]): readonly Buffer[] => {
  if (pieces.length < 2) return pieces
  const found: Buffer[] = []
  let [run] = pieces as [Buffer]
  let length = run.length
  const close = (): void => void found.push(length === run.length ? run : Buffer.from(run.buffer, run.byteOffset, length))
  for (let at = 1; at < pieces.length; at++) {
    const piece = pieces[at] as Buffer
    if (piece.buffer !== run.buffer || piece.byteOffset !== run.byteOffset + length) {
      close()
      run = piece
      length = 0
    }
    length += piece.length
  }
  close()
  return found
}
