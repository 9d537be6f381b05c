import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hash, hkdfSync, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto'
import { canonicalJson } from '../lib/canonical-json.ts'
import { defined } from '../lib/defined.ts'
import type { Secret } from '../lib/secret.ts'
import { partyKey, type Caller } from '../model/caller.ts'
import type { Digest } from '../model/action.ts'
import type { Hold } from '../model/hold.ts'
import type { AttachmentName, HoldEntry, HoldRevision } from './hold-store.ts'

/*
 * asked           canonical JSON of what never changes: caller, action, matched rules, when and why
 * sealed record   v2.<key id>.<HMAC-SHA256, base64url>.<JSON of { asked: <SHA-256 of it>, hold: <the rest>, dueAt, openKey }>
 * other records   v1.<key id>.<HMAC-SHA256, base64url>.<text>
 * attachment      1 · key id (8) · nonce (12) · tag (16) · AES-256-GCM ciphertext; bound to its name, hold id, caller and digest
 *
 * The MAC covers the record and, by its hash, what was asked, so id, digest, state, votes, deadline and terms stand or fall together.
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

/** Kept apart by the seal: a record of one kind never passes for one of another. */
export type TextKind = 'grant'

export interface Seal {
  /** The first record of a hold, with what was asked; and the hold as it has been recorded. */
  close(hold: Hold, finding: Finding): { readonly hold: Hold; readonly entry: HoldEntry }
  /** A later record of it: what was asked stays as it was written. */
  revise(hold: Hold, finding: Finding): HoldRevision
  /** Throws `Tampered`. `id` is the id by which the entry was asked for. */
  open(entry: HoldEntry, id?: string): Opened
  /** A later record of a hold that has been opened before. Throws `Tampered`. */
  renew(hold: Hold, revision: HoldRevision): Opened
  /** A record of another kind, as text. */
  closeText(kind: TextKind, text: string): string
  /** Throws `Tampered`. */
  openText(kind: TextKind, sealed: string): string
  closeAttachment(hold: Hold, name: AttachmentName, bytes: Uint8Array): Uint8Array
  /** Throws `Tampered`. */
  openAttachment(hold: Hold, name: AttachmentName, sealed: Uint8Array): Uint8Array
}

interface Key {
  readonly id: string
  readonly mac: KeyObject
  readonly box: KeyObject
}

const derive = (secret: string, purpose: string, bytes: number): Buffer => Buffer.from(hkdfSync('sha256', secret, 'countersign', purpose, bytes))

const keyOf = (secret: Secret): Key => {
  const value = secret.reveal()
  if (value.length < 16) throw new Error('a key for holds needs at least 16 characters')
  return { id: derive(value, 'hold key id', 4).toString('hex'), mac: createSecretKey(derive(value, 'hold record', 32)), box: createSecretKey(derive(value, 'hold result', 32)) }
}

const macOf = (key: Key, body: string, kind: 'hold v2' | `${TextKind} v1` = 'hold v2'): Buffer => createHmac('sha256', key.mac).update(`countersign ${kind}\n${key.id}\n${body}`).digest()

export const makeSeal = (secrets: readonly Secret[]): Seal => {
  const keys = secrets.map(keyOf)
  const first = keys[0]
  if (first === undefined) throw new Error('holds need a key')
  const byId = new Map(keys.toReversed().map((key) => [key.id, key]))

  const seal = (hold: Hold, finding: Finding, asked: string): HoldRevision => {
    const body = JSON.stringify({ asked, hold: changing(hold), ...finding })
    return { id: hold.id, revision: hold.revision, state: hold.state, callerKey: callerKey(hold.caller), service: hold.action.service, ...finding, sealed: `v2.${first.id}.${macOf(first, body).toString('base64url')}.${body}` }
  }

  const close: Seal['close'] = (hold, finding) => {
    const asked = canonicalJson(fixed(hold))
    const name = hashOf(asked)
    return { hold: { ...hold, asked: name }, entry: { ...seal(hold, finding, name), asked } }
  }

  const revise: Seal['revise'] = (hold, finding) => seal(hold, finding, hold.asked ?? hashOf(canonicalJson(fixed(hold))))

  const openBody = (sealed: string, kind: Parameters<typeof macOf>[2]): string => {
    const match = /^v[12]\.([0-9a-f]{8})\.([\w-]{43})\./.exec(sealed.slice(0, 64))
    const key = byId.get(match?.[1] ?? '')
    if (match === null || key === undefined) throw new Tampered(match === null ? 'the record has no seal' : 'the record is sealed with an unknown key')
    const body = sealed.slice(match[0].length)
    if (!timingSafeEqual(macOf(key, body, kind), Buffer.from(match[2]!, 'base64url'))) throw new Tampered('the seal does not fit the record')
    return body
  }

  const openRecord = ({ sealed }: HoldRevision): Sealed => JSON.parse(openBody(sealed, 'hold v2')) as Sealed

  const agreed = (hold: Hold, { openKey, dueAt }: Finding, entry: HoldRevision, id: string): Opened => {
    const differing = [
      hold.id === entry.id && hold.id === id ? '' : 'id', hold.revision === entry.revision ? '' : 'revision', hold.state === entry.state ? '' : 'state', callerKey(hold.caller) === entry.callerKey ? '' : 'callerKey',
      hold.action.service === entry.service ? '' : 'service', openKey === entry.openKey ? '' : 'openKey', dueAt === entry.dueAt ? '' : 'dueAt',
    ].filter((field) => field !== '')
    if (differing.length > 0) throw new Tampered(`the store's ${differing.join(', ')} is not what the record says`)
    return { hold, ...defined({ openKey, dueAt }) }
  }

  const open: Seal['open'] = (entry, id = entry.id) => {
    const { asked, hold, ...finding } = openRecord(entry)
    if (hashOf(entry.asked) !== asked) throw new Tampered('what was asked is not what the record was sealed for')
    const first = JSON.parse(entry.asked) as Fixed
    if (first.id !== hold.id) throw new Tampered('what was asked belongs to another hold')
    return agreed({ ...first, ...hold, asked }, finding, entry, id)
  }

  const renew: Seal['renew'] = (known, revision) => {
    const { asked, hold, ...finding } = openRecord(revision)
    if (asked !== known.asked || hold.id !== known.id) throw new Tampered('the record was sealed for something else')
    return agreed({ ...fixed(known), ...hold, asked }, finding, revision, known.id)
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

  return {
    close, revise, open, renew, closeAttachment, openAttachment,
    closeText: (kind, text) => `v1.${first.id}.${macOf(first, text, `${kind} v1`).toString('base64url')}.${text}`,
    openText: (kind, sealed) => openBody(sealed, `${kind} v1`),
  }
}

type Fixed = Pick<Hold, 'id' | 'code' | 'caller' | 'action' | 'matched' | 'openedAt' | 'statedReason' | 'idempotencyKey' | 'pattern'>

interface Sealed extends Finding {
  readonly asked: string
  readonly hold: Omit<Hold, Exclude<keyof Fixed, 'id'> | 'asked' | 'waiting' | 'reaches' | 'opinions'>
}

const fixed = ({ id, code, caller, action, matched, openedAt, statedReason, idempotencyKey, pattern }: Hold): Fixed => ({ id, code, caller, action, matched, openedAt, ...defined({ statedReason, idempotencyKey, pattern }) })

const changing = ({ code: _code, caller: _caller, action: _action, matched: _matched, openedAt: _openedAt, statedReason: _reason, idempotencyKey: _key, pattern: _pattern, asked: _asked, waiting: _waiting, reaches: _reaches, opinions: _opinions, ...rest }: Hold): Sealed['hold'] => rest

const hashOf = (text: string): string => hash('sha256', text, 'base64url')

export const shortHash = (parts: readonly string[]): string => hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 32)

/** Of callers that cannot change any more; one caller asks for many things. */
const callerKeys = new WeakMap<object, string>()

/** The caller with the whole chain it acts for: the same agent for somebody else is another caller. */
export const callerKey = (caller: Pick<Caller, 'issuer' | 'subject' | 'clientId' | 'onBehalfOf'>): string => {
  const known = callerKeys.get(caller)
  if (known !== undefined) return known
  const key = shortHash([partyKey(caller), caller.clientId ?? '', ...caller.onBehalfOf.map(partyKey)])
  if (Object.isFrozen(caller) && Object.isFrozen(caller.onBehalfOf) && caller.onBehalfOf.every(Object.isFrozen)) callerKeys.set(caller, key)
  return key
}

export const openKey = (caller: Caller, service: string, digest: Digest): string => shortHash([callerKey(caller), service, digest])
