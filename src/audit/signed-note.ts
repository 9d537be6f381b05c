import { createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto'

/*
 * Signed notes of C2SP: a text, an empty line, and one line for each signature.
 *
 *   the text, which ends with a newline
 *
 *   — name base64(4 bytes of the key's id, the signature)
 */

/** Ed25519; the byte in front of a public key says so. */
const ed25519 = 1
const spki = Buffer.from('302a300506032b6570032100', 'hex')
const signatureBytes = 64
/** More signatures than anybody needs are not looked at. */
const mostSignatures = 64

export interface NoteVerifier {
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

const isName = (name: string): boolean => /^[^\s+\p{Cc}]+$/u.test(name) && name.isWellFormed()

const keyId = (name: string, key: Buffer): Buffer => hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), key]), 'buffer').subarray(0, 4)

const publicBytes = (key: KeyObject): Buffer => Buffer.concat([Buffer.of(ed25519), key.export({ type: 'spki', format: 'der' }).subarray(spki.length)])

export const noteSigner = (name: string, secret: KeyObject): NoteSigner => {
  if (!isName(name)) throw new BadNote(`${JSON.stringify(name)} is no name for a key: no spaces and no plus sign`)
  if (secret.asymmetricKeyType !== 'ed25519') throw new BadNote('the key is not Ed25519')
  const key = createPublicKey(secret)
  const bytes = publicBytes(key)
  const id = keyId(name, bytes)
  return { name, id, key, secret, verifier: `${name}+${id.toString('hex')}+${bytes.toString('base64')}` }
}

export const noteVerifier = (text: string): NoteVerifier => {
  const [, name = '', id = '', key = ''] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? []
  const bytes = Buffer.from(key, 'base64')
  if (!isName(name) || bytes.length !== 33 || bytes[0] !== ed25519 || !keyId(name, bytes).equals(Buffer.from(id, 'hex'))) throw new BadNote('not a key: a key is name+id+base64, as `countersign audit key` prints it')
  return { name, id: Buffer.from(id, 'hex'), key: createPublicKey({ key: Buffer.concat([spki, bytes.subarray(1)]), format: 'der', type: 'spki' }) }
}

export const signNote = (text: string, { name, id, secret }: NoteSigner): string => `${text}\n\u2014 ${name} ${Buffer.concat([id, sign(null, Buffer.from(text), secret)]).toString('base64')}\n`

/** The text, if somebody known signed it and nobody known signed something else. Signatures of strangers mean nothing. */
export const openNote = (note: string, known: readonly NoteVerifier[]): { readonly text: string; readonly by: readonly NoteVerifier[] } => {
  const end = note.lastIndexOf('\n\n')
  if (end === -1 || !note.endsWith('\n') || /[^\n\P{Cc}]/u.test(note)) throw new BadNote('not a signed note')
  const text = note.slice(0, end + 1)
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > mostSignatures) throw new BadNote('the note has too many signatures')
  const by = new Set<NoteVerifier>()
  for (const line of lines) {
    const [, name, encoded = ''] = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? []
    if (name === undefined) throw new BadNote('a signature of the note does not read')
    const bytes = Buffer.from(encoded, 'base64')
    const verifier = known.find((one) => one.name === name && one.id.equals(bytes.subarray(0, 4)))
    if (verifier === undefined) continue
    if (bytes.length !== 4 + signatureBytes || !verify(null, Buffer.from(text), verifier.key, bytes.subarray(4))) throw new BadNote(`the signature of ${name} is not of this text`)
    by.add(verifier)
  }
  if (by.size === 0) throw new BadNote('nobody known has signed the note')
  return { text, by: [...by] }
}
