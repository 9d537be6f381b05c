import { leafHash } from '../lib/leaf-hash.ts'
import { rootOf } from './merkle-proof.ts'

/*
 * A log as files that never change, from which anybody makes every proof alone: C2SP's tlog-tiles.
 *
 *   tile/0/000              the first 256 leaf hashes
 *   tile/1/000              the roots over the first 256 of those, 256 leaves each
 *   tile/0/001.p/112        the right edge: 112 hashes, until there are 256
 *   tile/entries/000        the 256 records themselves, each behind its length in two bytes
 */
const width = 256

/** What two bytes can say. */
export const longestEntry = 65_535

export interface Tile {
  readonly path: string
  readonly bytes: Buffer
  readonly full: boolean
}

/** Groups of three digits, so that no folder has more than a thousand entries and none is called like a file. */
const placeOf = (index: number): string => {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? []
  return groups.map((group, at) => (at === groups.length - 1 ? group : `x${group}`)).join('/')
}

const tileOf = (kind: number | 'entries', index: number, parts: readonly Buffer[]): Tile => {
  const full = parts.length === width
  return { path: `tile/${kind}/${placeOf(index)}${full ? '' : `.p/${parts.length}`}`, bytes: Buffer.concat(parts), full }
}

/** The rightmost tile of a level, and how many stand before it. */
interface Edge {
  index: number
  parts: Buffer[]
}

const bundled = (entry: string): Buffer => {
  if (entry.length > longestEntry) throw new Error(`an entry of ${entry.length} bytes`)
  const bytes = Buffer.allocUnsafe(2 + entry.length)
  bytes.writeUInt16BE(entry.length)
  bytes.write(entry, 2, 'latin1')
  return bytes
}

/** All tiles over these entries of ASCII, each once it is full and the right edge at the end. Holds nothing but that edge. */
export function* tilesOf(entries: Iterable<string>): Generator<Tile> {
  const bundle: Edge = { index: 0, parts: [] }
  const levels: Edge[] = []
  for (const entry of entries) {
    bundle.parts.push(bundled(entry))
    if (bundle.parts.length === width) {
      yield tileOf('entries', bundle.index++, bundle.parts)
      bundle.parts = []
    }
    let carried: Buffer | undefined = Buffer.from(leafHash(entry), 'base64')
    for (let level = 0; carried !== undefined; level++) {
      const edge: Edge = (levels[level] ??= { index: 0, parts: [] })
      edge.parts.push(carried)
      carried = undefined
      if (edge.parts.length < width) continue
      yield tileOf(level, edge.index++, edge.parts)
      carried = rootOf(edge.parts)
      edge.parts = []
    }
  }
  if (bundle.parts.length > 0) yield tileOf('entries', bundle.index, bundle.parts)
  for (const [level, { index, parts }] of levels.entries()) if (parts.length > 0) yield tileOf(level, index, parts)
}
