import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'

/*
 * A log and its reader by the texts of RFC 6962 and C2SP, which share nothing with the program: what they send must be taken, and what the program answers must be what they expect.
 */

const sha256 = (...parts: Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const k = (n: number): number => {
  let power = 1
  while (power * 2 < n) power *= 2
  return power
}
const MTH = (d: readonly Buffer[]): Buffer => (d.length === 0 ? sha256() : d.length === 1 ? sha256(Buffer.of(0), d[0]!) : sha256(Buffer.of(1), MTH(d.slice(0, k(d.length))), MTH(d.slice(k(d.length)))))
const SUBPROOF = (m: number, d: readonly Buffer[], b: boolean): Buffer[] =>
  m === d.length ? (b ? [] : [MTH(d)]) : m <= k(d.length) ? [...SUBPROOF(m, d.slice(0, k(d.length)), b), MTH(d.slice(k(d.length)))] : [...SUBPROOF(m - k(d.length), d.slice(k(d.length)), false), MTH(d.slice(0, k(d.length)))]

const idOf = (name: string, type: number, raw: Buffer): Buffer => sha256(Buffer.from(`${name}\n`), Buffer.of(type), raw).subarray(0, 4)

export interface SecondLog {
  /** `name+id+key`. */
  readonly verifier: string
  /** The body of an add-checkpoint, of the log with these entries. */
  body(origin: string, entries: readonly string[], old: number, change?: { readonly proof?: readonly Buffer[]; readonly key?: SecondLog }): string
  note(origin: string, entries: readonly string[]): string
}

export const makeSecondLog = (name: string): SecondLog => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  const id = idOf(name, 1, raw)
  const log: SecondLog = {
    verifier: `${name}+${id.toString('hex')}+${Buffer.concat([Buffer.of(1), raw]).toString('base64')}`,
    note(origin, entries) {
      const text = `${origin}\n${entries.length}\n${MTH(entries.map((entry) => Buffer.from(entry))).toString('base64')}\n`
      return `${text}\n\u2014 ${name} ${Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]).toString('base64')}\n`
    },
    body(origin, entries, old, { proof, key = log } = {}) {
      const hashes = proof ?? (old === 0 || old > entries.length ? [] : SUBPROOF(old, entries.map((entry) => Buffer.from(entry)), true))
      return `${[`old ${old}`, ...hashes.map((hash) => hash.toString('base64'))].join('\n')}\n\n${key.note(origin, entries)}`
    },
  }
  return log
}

/** When the witness with this key says that it saw the text of the note; throws where its line is not that. */
export const timeOfCosignature = (line: string, vkey: string, note: string): number => {
  const text = note.slice(0, note.indexOf('\n\n') + 1)
  const [name = '', id, key = ''] = vkey.split(/\+(?=[0-9a-f]{8}\+)|(?<=\+[0-9a-f]{8})\+/)
  const raw = Buffer.from(key, 'base64')
  const [, said, encoded = ''] = /^\u2014 (\S+) (\S+)\n$/.exec(line) ?? []
  const bytes = Buffer.from(encoded, 'base64')
  if (said !== name || raw[0] !== 4 || bytes.length !== 76 || bytes.subarray(0, 4).toString('hex') !== id || !idOf(name, 4, raw.subarray(1)).equals(bytes.subarray(0, 4))) throw new Error(`not a cosignature of ${name}: ${line}`)
  const time = Number(bytes.readBigUInt64BE(4))
  const publicKey = createPublicKey({ key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw.subarray(1)]), format: 'der', type: 'spki' })
  if (!verify(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), publicKey, bytes.subarray(12))) throw new Error('the cosignature is of something else')
  return time
}
