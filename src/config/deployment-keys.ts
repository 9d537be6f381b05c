import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { noteSigner, type NoteSigner } from '../audit/signed-note.ts'
import { privateKeyOf } from '../lib/ed25519.ts'
import type { Config } from './config.ts'

/* All replicas of a deployment share the first approval key, so they make the same keys of it. Each use has a key that no other use can yield. */

type Keyed = Pick<Config, 'approval' | 'deployment'>

/** One of each approval key, in their order. */
const deriveAll = ({ approval, deployment }: Keyed, use: string): readonly Buffer[] => approval.keys.map((key) => Buffer.from(hkdfSync('sha256', key.reveal(), deployment, `countersign ${use}`, 32)))

const derive = (keyed: Keyed, use: string): Buffer => {
  const [first] = deriveAll(keyed, use)
  if (first === undefined) throw new Error('no approval key')
  return first
}

/** Signs who the caller is, for upstreams. */
export const assertionKey = (config: Keyed): KeyObject => privateKeyOf(derive(config, 'assertion key'))

/** Signs webhooks that have no key of their own. */
export const webhookKey = (config: Keyed): KeyObject => privateKeyOf(derive(config, 'webhook key'))

/** Signs what the audit log is. */
export const logSigner = (config: Keyed): NoteSigner => noteSigner(config.deployment, privateKeyOf(derive(config, 'log key')))

/** Older approval keys have signed when they were the first. */
export const logSigners = (config: Keyed): readonly NoteSigner[] => deriveAll(config, 'log key').map((key) => noteSigner(config.deployment, privateKeyOf(key)))

/** Sign what was decided about actions: the first one does, older ones have when they were the first. The sign in their name is in none of a deployment, so that no log can be called like them. */
export const receiptSigners = (config: Keyed): readonly NoteSigner[] => deriveAll(config, 'receipt key').map((key) => noteSigner(`${config.deployment}#receipts`, privateKeyOf(key)))

/** Equal values of one service get equal masks on all replicas. Whoever knows the masks cannot find the values without the key. */
export const maskDigests = (config: Keyed): ((service: string) => (value: Uint8Array) => string) => (service) => {
  const secret = createSecretKey(derive(config, `mask key ${service}`))
  return (value) => createHmac('sha256', secret).update(value).digest('hex')
}

/** Seals whose accounts of chats are. Older approval keys still open. */
export const linkKeys = (config: Keyed): readonly Uint8Array[] => deriveAll(config, 'link key')

/** Seals what browsers and the store keep of logins, so that neither can write any. Older approval keys still open. */
export const sessionKeys = (config: Keyed): readonly Uint8Array[] => deriveAll(config, 'session key')
