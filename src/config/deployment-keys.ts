import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { privateKeyOf } from '../lib/ed25519.ts'
import type { Config } from './config.ts'

/* All replicas of a deployment share the first approval key, so they make the same keys of it. Each use has a key that no other use can yield. */

type Keyed = Pick<Config, 'approval' | 'deployment'>

const derive = ({ approval, deployment }: Keyed, use: string): Buffer => {
  const [key] = approval.keys
  if (key === undefined) throw new Error('no approval key')
  return Buffer.from(hkdfSync('sha256', key.reveal(), deployment, `countersign ${use}`, 32))
}

/** Signs who the caller is, for upstreams. */
export const assertionKey = (config: Keyed): KeyObject => privateKeyOf(derive(config, 'assertion key'))

/** Signs webhooks that have no key of their own. */
export const webhookKey = (config: Keyed): KeyObject => privateKeyOf(derive(config, 'webhook key'))

/** Equal values of one service get equal masks on all replicas. Whoever knows the masks cannot find the values without the key. */
export const maskDigests = (config: Keyed): ((service: string) => (value: Uint8Array) => string) => (service) => {
  const secret = createSecretKey(derive(config, `mask key ${service}`))
  return (value) => createHmac('sha256', secret).update(value).digest('hex')
}

/** Seals whose accounts of chats are. Older approval keys still open. */
export const linkKeys = ({ approval, deployment }: Keyed): readonly Uint8Array[] => approval.keys.map((key) => new Uint8Array(hkdfSync('sha256', key.reveal(), deployment, 'countersign link key', 32)))

/** Seals what browsers and the store keep of logins, so that neither can write any. Older approval keys still open. */
export const sessionKeys = ({ approval, deployment }: Keyed): readonly Uint8Array[] => approval.keys.map((key) => new Uint8Array(hkdfSync('sha256', key.reveal(), deployment, 'countersign session key', 32)))
