import { randomBytes } from 'node:crypto'

/** What the server is given in place of a message that may not run. It answers with an error that names the nonce, and that error becomes ours. */
export interface Poison {
  readonly nonce: string
  /** ErrorResponse for the client, whole. */
  readonly answer: Buffer
}

/** Fits into an identifier of 63 bytes, so that the server repeats it whole. */
export const makePoison = (answer: Buffer): Poison => ({ nonce: `countersign_no_${randomBytes(16).toString('hex')}`, answer })

/** A statement that no server can parse: a syntax error in every state of a transaction. */
export const poisonedQuery = ({ nonce }: Poison): Buffer => {
  const bytes = Buffer.allocUnsafe(6 + nonce.length)
  bytes[0] = 0x51 // Q
  bytes.writeInt32BE(5 + nonce.length, 1)
  bytes.write(nonce, 5, 'latin1')
  bytes[5 + nonce.length] = 0
  return bytes
}

/** Execute of a portal that nobody has: stands for any message of the extended protocol, after which the server waits for Sync. */
export const poisonedExecute = ({ nonce }: Poison): Buffer => {
  const bytes = Buffer.alloc(10 + nonce.length)
  bytes[0] = 0x45 // E
  bytes.writeInt32BE(9 + nonce.length, 1)
  bytes.write(nonce, 5, 'latin1')
  return bytes
}

/** Whether this ErrorResponse is the server's answer to the poison, and not one that came in its place. */
export const answersPoison = ({ nonce }: Poison, error: Buffer): boolean => error.includes(nonce, 5, 'latin1')
