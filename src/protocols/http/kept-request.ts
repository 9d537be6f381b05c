/** A request that can be made again without its client. There is no token in it. */
export interface KeptRequest {
  readonly method: string
  /** As received: before a prefix is stripped. */
  readonly target: string
  readonly host: string
  readonly secure: boolean
  /** Flat; what was judged. */
  readonly headers: readonly string[]
  /** Which audience the token had to have for this service; empty: none of its own. */
  readonly audience: string
  /** What the configuration said about the caller when they asked. */
  readonly standing: string
  readonly body: Uint8Array | undefined
}

/**
 *   4 bytes, big endian: length of the head │ head: JSON, everything but the body │ body
 */
export const writeKeptRequest = ({ body, ...rest }: KeptRequest): Uint8Array => {
  const head = Buffer.from(JSON.stringify({ ...rest, hasBody: body !== undefined }))
  const size = Buffer.alloc(4)
  size.writeUInt32BE(head.length)
  return Buffer.concat([size, head, body ?? Buffer.alloc(0)])
}

/** Only for bytes whose seal has been opened. */
export const readKeptRequest = (bytes: Uint8Array): KeptRequest => {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = 4 + all.readUInt32BE(0)
  const { hasBody, ...rest } = JSON.parse(all.toString('utf8', 4, end)) as Omit<KeptRequest, 'body'> & { readonly hasBody: boolean }
  return { ...rest, body: hasBody ? all.subarray(end) : undefined }
}
