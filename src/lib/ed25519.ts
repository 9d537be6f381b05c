import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** The private key that 32 bytes are the seed of. */
export const privateKeyOf = (seed: Uint8Array): KeyObject => createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' })

/** The 32 bytes of the public half. */
export const publicBytes = (key: KeyObject): Buffer => createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
