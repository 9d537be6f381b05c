import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import { canonicalJson } from '../lib/canonical-json.ts'
import { defined } from '../lib/defined.ts'
import type { Secret } from '../lib/secret.ts'
import { partyKey, type Caller } from '../model/caller.ts'
import type { Digest } from '../model/action.ts'
import type { Hold } from '../model/hold.ts'
import type { AttachmentName, HoldEntry } from './hold-store.ts'

/*
 * sealed record   v1.<key id>.<HMAC-SHA256, base64url>.<canonical JSON of { hold, dueAt, openKey }>
 * attachment      1 · key id (8) · nonce (12) · tag (16) · AES-256-GCM ciphertext; bound to its name, hold id, caller and digest
 *
 * The MAC covers the whole record, so id, digest, state, votes, deadline and terms stand or fall together.
 * The store's own columns are compared with what is inside, so none of them can say anything else.
 */

/** The record is not what this deployment wrote. Never repaired. */
export class Tampered extends Error {
  override readonly name = 'Tampered'
}

/** What the store is to find the entry by, next to the hold itself. */
export interface Finding {
  readonly openKey?: string
  readonly dueAt?: number
}

export interface Opened extends Finding {
  readonly hold: Hold
}

export interface Seal {
  close(hold: Hold, finding: Finding): HoldEntry
  /** Throws `Tampered`. `id` is the id by which the entry was asked for. */
  open(entry: HoldEntry, id?: string): Opened
  closeAttachment(hold: Hold, name: AttachmentName, bytes: Uint8Array): Uint8Array
  /** Throws `Tampered`. */
  openAttachment(hold: Hold, name: AttachmentName, sealed: Uint8Array): Uint8Array
}

interface Key {
  readonly id: string
  readonly mac: Buffer
  readonly box: Buffer
}

const derive = (secret: string, purpose: string, bytes: number): Buffer => Buffer.from(hkdfSync('sha256', secret, 'countersign', purpose, bytes))

const keyOf = (secret: Secret): Key => {
  const value = secret.reveal()
  if (value.length < 16) throw new Error('a key for holds needs at least 16 characters')
  return { id: derive(value, 'hold key id', 4).toString('hex'), mac: derive(value, 'hold record', 32), box: derive(value, 'hold result', 32) }
}

const macOf = (key: Key, body: string): Buffer => createHmac('sha256', key.mac).update(`countersign hold v1\n${key.id}\n`).update(body).digest()

export const makeSeal = (secrets: readonly Secret[]): Seal => {
  const keys = secrets.map(keyOf)
  const first = keys[0]
  if (first === undefined) throw new Error('holds need a key')
  const byId = new Map(keys.toReversed().map((key) => [key.id, key]))

  const close: Seal['close'] = ({ waiting: _waiting, ...hold }, finding) => {
    const body = canonicalJson({ hold, ...finding })
    return { id: hold.id, revision: hold.revision, state: hold.state, callerKey: callerKey(hold.caller), service: hold.action.service, ...finding, sealed: `v1.${first.id}.${macOf(first, body).toString('base64url')}.${body}` }
  }

  const open: Seal['open'] = (entry, id = entry.id) => {
    const match = /^v1\.([0-9a-f]{8})\.([\w-]{43})\./.exec(entry.sealed.slice(0, 64))
    const key = byId.get(match?.[1] ?? '')
    if (match === null || key === undefined) throw new Tampered(match === null ? 'the record has no seal' : 'the record is sealed with an unknown key')
    const body = entry.sealed.slice(match[0].length)
    if (!timingSafeEqual(macOf(key, body), Buffer.from(match[2]!, 'base64url'))) throw new Tampered('the seal does not fit the record')
    const opened = JSON.parse(body) as Opened
    const { hold } = opened
    const differing = Object.entries({
      id: hold.id === entry.id && hold.id === id, revision: hold.revision === entry.revision, state: hold.state === entry.state, callerKey: callerKey(hold.caller) === entry.callerKey,
      service: hold.action.service === entry.service, openKey: opened.openKey === entry.openKey, dueAt: opened.dueAt === entry.dueAt,
    }).flatMap(([field, same]) => (same ? [] : [field]))
    if (differing.length > 0) throw new Tampered(`the store's ${differing.join(', ')} is not what the record says`)
    return { hold, ...defined({ openKey: opened.openKey, dueAt: opened.dueAt }) }
  }

  const bound = (hold: Hold, name: AttachmentName): Buffer => Buffer.from(`countersign ${name} v1\n${hold.id}\n${callerKey(hold.caller)}\n${hold.action.digest}`)

  const closeAttachment: Seal['closeAttachment'] = (hold, name, bytes) => {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', first.box, nonce).setAAD(bound(hold, name))
    const text = Buffer.concat([cipher.update(bytes), cipher.final()])
    return Buffer.concat([Buffer.from([1]), Buffer.from(first.id, 'latin1'), nonce, cipher.getAuthTag(), text])
  }

  const openAttachment: Seal['openAttachment'] = (hold, name, sealed) => {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
    const key = byId.get(bytes.toString('latin1', 1, 9))
    if (bytes[0] !== 1 || bytes.length < 37 || key === undefined) throw new Tampered(`the stored ${name} is not sealed by us`)
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.box, bytes.subarray(9, 21), { authTagLength: 16 }).setAAD(bound(hold, name)).setAuthTag(bytes.subarray(21, 37))
      return Buffer.concat([decipher.update(bytes.subarray(37)), decipher.final()])
    } catch (error) {
      throw new Tampered(`the stored ${name} does not belong to this hold`, { cause: error })
    }
  }

  return { close, open, closeAttachment, openAttachment }
}

const short = (parts: readonly string[]): string => createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 32)

/** The caller with the whole chain it acts for: the same agent for somebody else is another caller. */
export const callerKey = (caller: Pick<Caller, 'issuer' | 'subject' | 'clientId' | 'onBehalfOf'>): string => short([partyKey(caller), caller.clientId ?? '', ...caller.onBehalfOf.map(partyKey)])

export const openKey = (caller: Caller, service: string, digest: Digest): string => short([callerKey(caller), service, digest])
