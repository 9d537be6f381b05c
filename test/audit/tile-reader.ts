import { createHash, createPublicKey, verify } from 'node:crypto'

/* A client of tiled logs, from the text of C2SP's tlog-tiles, signed-note and RFC 6962, and from nothing of ours: it shares no line with what makes the tiles. */

const sha256 = (...parts: readonly Uint8Array[]): Buffer => parts.reduce((made, part) => made.update(part), createHash('sha256')).digest()
const leaf = (entry: Uint8Array): Buffer => sha256(Uint8Array.of(0), entry)
const parent = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Uint8Array.of(1), left, right)

export type Fetch = (path: string) => Buffer | undefined

export class BadTiles extends Error {}

/** N: "zero-padded 3-digit path elements, all but the last begin with an x". */
export const indexPath = (n: number): string => {
  const last = String(n % 1000).padStart(3, '0')
  let rest = Math.floor(n / 1000)
  let path = last
  for (; rest > 0; rest = Math.floor(rest / 1000)) path = `x${String(rest % 1000).padStart(3, '0')}/${path}`
  return path
}

/** Width of the n-th tile at that level in a tree of that size; 0 where there is none. */
const widthOf = (size: number, level: number, n: number): number => Math.max(0, Math.min(256, Math.floor(size / 256 ** level) - n * 256))

const pathOf = (kind: string, n: number, width: number): string => `tile/${kind}/${indexPath(n)}${width === 256 ? '' : `.p/${width}`}`

/** Every file that a tree of that size is made of. */
export const expectedFiles = (size: number): string[] => {
  const paths: string[] = []
  for (let level = 0; 256 ** level <= size; level++) for (let n = 0; widthOf(size, level, n) > 0; n++) paths.push(pathOf(String(level), n, widthOf(size, level, n)))
  for (let n = 0; widthOf(size, 0, n) > 0; n++) paths.push(pathOf('entries', n, widthOf(size, 0, n)))
  return paths.sort()
}

export const openSigned = (note: string, vkey: string): { readonly origin: string; readonly size: number; readonly root: Buffer } => {
  const [, name = '', hint = '', key = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey) ?? []
  const raw = Buffer.from(key, 'base64')
  const cut = note.lastIndexOf('\n\n')
  const text = note.slice(0, cut + 1)
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.subarray(1).toString('base64url') }, format: 'jwk' })
  const good = note.slice(cut + 2).split('\n').some((line) => {
    if (!line.startsWith(`\u2014 ${name} `)) return false
    const bytes = Buffer.from(line.slice(`\u2014 ${name} `.length), 'base64')
    return bytes.subarray(0, 4).toString('hex') === hint && verify(null, Buffer.from(text), publicKey, bytes.subarray(4))
  })
  if (cut < 0 || !good) throw new BadTiles('checkpoint: not signed by that key')
  const [origin = '', size = '', root = ''] = text.split('\n')
  return { origin, size: Number(size), root: Buffer.from(root, 'base64') }
}

/** A tree of that size, known by its tiles alone. */
export class TileReader {
  readonly #fetch: Fetch
  readonly #size: number
  readonly #read = new Map<string, Buffer>()

  constructor(fetch: Fetch, size: number) {
    this.#fetch = fetch
    this.#size = size
  }

  #tile(level: number, n: number): Buffer {
    const width = widthOf(this.#size, level, n)
    const path = pathOf(String(level), n, width)
    const known = this.#read.get(path)
    if (known !== undefined) return known
    const bytes = this.#fetch(path)
    if (bytes === undefined) throw new BadTiles(`${path}: missing`)
    if (bytes.length !== width * 32) throw new BadTiles(`${path}: ${bytes.length} bytes`)
    this.#read.set(path, bytes)
    return bytes
  }

  /** The root over a complete subtree of 2**height leaves, the index-th of that height. */
  #complete(height: number, index: number): Buffer {
    const level = Math.floor(height / 8)
    const count = 2 ** (height % 8)
    const first = index * count
    const tile = this.#tile(level, Math.floor(first / 256))
    let row = Array.from({ length: count }, (_, at) => tile.subarray(((first % 256) + at) * 32, ((first % 256) + at + 1) * 32))
    while (row.length > 1) row = Array.from({ length: row.length / 2 }, (_, at) => parent(row[2 * at]!, row[2 * at + 1]!))
    return row[0]!
  }

  /** MTH(D[from:to]) */
  #mth(from: number, to: number): Buffer {
    const length = to - from
    if (length === 0) return sha256()
    if (Number.isInteger(Math.log2(length))) return this.#complete(Math.log2(length), from / length)
    const k = 2 ** Math.floor(Math.log2(length))
    return parent(this.#mth(from, from + k), this.#mth(from + k, to))
  }

  root(size = this.#size): Buffer {
    return this.#mth(0, size)
  }

  /** PATH(m, D[0:size]) */
  inclusion(m: number, size = this.#size): Buffer[] {
    const path = (from: number, to: number): Buffer[] => {
      if (to - from === 1) return []
      const k = from + 2 ** (Math.ceil(Math.log2(to - from)) - 1)
      return m < k ? [...path(from, k), this.#mth(k, to)] : [...path(k, to), this.#mth(from, k)]
    }
    return path(0, size)
  }

  /** The entries of all bundles; each hashes to its place at level 0, and each hash above is the root over a full tile below. */
  entries(): Buffer[] {
    const all: Buffer[] = []
    for (let n = 0; widthOf(this.#size, 0, n) > 0; n++) {
      const width = widthOf(this.#size, 0, n)
      const path = pathOf('entries', n, width)
      const bytes = this.#fetch(path)
      if (bytes === undefined) throw new BadTiles(`${path}: missing`)
      let at = 0
      for (let place = 0; place < width; place++) {
        if (at + 2 > bytes.length || at + 2 + bytes.readUInt16BE(at) > bytes.length) throw new BadTiles(`${path}: cut off`)
        const entry = bytes.subarray(at + 2, at + 2 + bytes.readUInt16BE(at))
        at += 2 + entry.length
        if (!leaf(entry).equals(this.#tile(0, n).subarray(place * 32, place * 32 + 32))) throw new BadTiles(`${path}: entry ${place} is not what level 0 says`)
        all.push(entry)
      }
      if (at !== bytes.length) throw new BadTiles(`${path}: more than ${width} entries`)
    }
    this.#checkLevels()
    return all
  }

  #checkLevels(): void {
    for (let level = 1; 256 ** level <= this.#size; level++) {
      for (let at = 0; at < Math.floor(this.#size / 256 ** level); at++) {
        const below = this.#tile(level - 1, at)
        let row = Array.from({ length: 256 }, (_, place) => below.subarray(place * 32, place * 32 + 32))
        while (row.length > 1) row = Array.from({ length: row.length / 2 }, (_, place) => parent(row[2 * place]!, row[2 * place + 1]!))
        const n = Math.floor(at / 256)
        if (!row[0]!.equals(this.#tile(level, n).subarray((at % 256) * 32, (at % 256) * 32 + 32))) throw new BadTiles(`${pathOf(String(level), n, widthOf(this.#size, level, n))}: hash ${at % 256} is not the root of the tile below`)
      }
    }
  }
}

/** The definition of RFC 6962 over entries, in a row at a time: with nothing of tiles. */
export const rootOfEntries = (entries: readonly Uint8Array[]): Buffer => {
  if (entries.length === 0) return sha256()
  let row: Uint8Array[] = entries.map(leaf)
  while (row.length > 1) row = Array.from({ length: Math.ceil(row.length / 2) }, (_, at) => (row[2 * at + 1] === undefined ? row[2 * at]! : parent(row[2 * at]!, row[2 * at + 1]!)))
  return Buffer.from(row[0]!)
}
