import { createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto'

/*
 * Signed notes of C2SP: a text, an empty line, and one line for each signature.
 *
 *   the text, which ends with a newline
 *
 *   — name base64(4 bytes of the key's id, the signature)
 */

/** What a key signs with is said by the byte in front of it: Ed25519 over the text, or over the text and the time at which a witness saw it. */
const ed25519 = 1
const cosignature = 4
const spki = Buffer.from('302a300506032b6570032100', 'hex')
const signatureBytes = 64
/** More signatures than anybody needs are not looked at. */
const mostSignatures = 64

export interface NoteVerifier {
  /** Absent: signs texts. */
  readonly witness?: true
  readonly name: string
  readonly id: Buffer
  readonly key: KeyObject
}

export interface NoteSigner extends NoteVerifier {
  /** How others name this key: `name+id+key`. */
  readonly verifier: string
  readonly secret: KeyObject
}

export class BadNote extends Error {
  override readonly name = 'BadNote'
}

export const isName = (name: string): boolean => /^[^\s+\p{Cc}]+$/u.test(name) && name.isWellFormed()

const keyId = (name: string, key: Buffer): Buffer => hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), key]), 'buffer').subarray(0, 4)

const publicBytes = (key: KeyObject, type: number): Buffer => Buffer.concat([Buffer.of(type), key.export({ type: 'spki', format: 'der' }).subarray(spki.length)])

export const noteSigner = (name: string, secret: KeyObject): NoteSigner => makeSigner(name, secret, ed25519)

/** The key by which a witness says what it has seen. */
export const witnessSigner = (name: string, secret: KeyObject): NoteSigner => ({ ...makeSigner(name, secret, cosignature), witness: true })

const makeSigner = (name: string, secret: KeyObject, type: number): NoteSigner => {
  if (!isName(name)) throw new BadNote(`${JSON.stringify(name)} is no name for a key: no spaces and no plus sign`)
  if (secret.asymmetricKeyType !== 'ed25519') throw new BadNote('the key is not Ed25519')
  const key = createPublicKey(secret)
  const bytes = publicBytes(key, type)
  const id = keyId(name, bytes)
  return { name, id, key, secret, verifier: `${name}+${id.toString('hex')}+${bytes.toString('base64')}` }
}

export const noteVerifier = (text: string): NoteVerifier => {
  const [, name = '', id = '', key = ''] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? []
  const bytes = Buffer.from(key, 'base64')
  if (!isName(name) || bytes.length !== 33 || (bytes[0] !== ed25519 && bytes[0] !== cosignature) || !keyId(name, bytes).equals(Buffer.from(id, 'hex'))) throw new BadNote('not a key: a key is name+id+base64, as `countersign audit key` prints it')
  return { name, id: Buffer.from(id, 'hex'), key: createPublicKey({ key: Buffer.concat([spki, bytes.subarray(1)]), format: 'der', type: 'spki' }), ...(bytes[0] === cosignature ? { witness: true } : {}) }
}

export const signNote = (text: string, { name, id, secret }: NoteSigner): string => `${text}\n\u2014 ${name} ${Buffer.concat([id, sign(null, Buffer.from(text), secret)]).toString('base64')}\n`

/** The text of a note and its lines, before anybody has believed them. Throws `BadNote` for what is not a note. */
export const splitNote = (note: string): { readonly text: string; readonly signatures: readonly { readonly name: string; readonly bytes: Buffer; readonly line: string }[] } => {
  const end = note.lastIndexOf('\n\n')
  if (end === -1 || !note.endsWith('\n') || /[^\n\P{Cc}]/u.test(note)) throw new BadNote('not a signed note')
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > mostSignatures) throw new BadNote('the note has too many signatures')
  const signatures = lines.map((line) => {
    const [, name, encoded = ''] = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? []
    if (name === undefined) throw new BadNote('a signature of the note does not read')
    return { name, bytes: Buffer.from(encoded, 'base64'), line }
  })
  return { text: note.slice(0, end + 1), signatures }
}

/** The text, if somebody known signed it and nobody known signed something else. Signatures of strangers mean nothing. */
export const openNote = (note: string, known: readonly NoteVerifier[]): { readonly text: string; readonly by: readonly NoteVerifier[] } => {
  const { text, signatures } = splitNote(note)
  const by = new Set<NoteVerifier>()
  for (const { name, bytes } of signatures) {
    const verifier = known.find((one) => one.witness === undefined && one.name === name && one.id.equals(bytes.subarray(0, 4)))
    if (verifier === undefined) continue
    if (bytes.length !== 4 + signatureBytes || !verify(null, Buffer.from(text), verifier.key, bytes.subarray(4))) throw new BadNote(`the signature of ${name} is not of this text`)
    by.add(verifier)
  }
  if (by.size === 0) throw new BadNote('nobody known has signed the note')
  return { text, by: [...by] }
}
