import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isIncluded } from '../../src/audit/merkle-check.ts'
import { MerkleTree } from '../../src/audit/merkle-tree.ts'
import { tilesOf } from '../../src/audit/tiles.ts'
import { leafHash } from '../../src/lib/leaf-hash.ts'
import { expectedFiles, rootOfEntries, TileReader } from './tile-reader.ts'

const entriesOf = (size: number): string[] => Array.from({ length: size }, (_, at) => `record ${at}`)
const filesOf = (entries: Iterable<string>): Map<string, Buffer> => new Map(Array.from(tilesOf(entries), ({ path, bytes }) => [path, bytes]))
const readerOf = (files: ReadonlyMap<string, Buffer>, size: number): TileReader => new TileReader((path) => files.get(path), size)
const treeOf = (entries: readonly string[]): Buffer => {
  const tree = new MerkleTree()
  for (const entry of entries) tree.append(leafHash(entry))
  return tree.root()
}

const checkWhole = (size: number, places: readonly number[]): void => {
  const entries = entriesOf(size)
  const files = filesOf(entries)
  assert.deepEqual([...files.keys()].sort(), expectedFiles(size), `files of ${size}`)
  const reader = readerOf(files, size)
  const root = treeOf(entries)
  const read = reader.entries()
  assert.deepEqual(read.map(String), entries)
  assert.equal(rootOfEntries(read).toString('hex'), root.toString('hex'))
  assert.equal(reader.root().toString('hex'), root.toString('hex'))
  for (const place of places) assert.ok(isIncluded(Buffer.from(leafHash(entries[place]!), 'base64'), place, size, reader.inclusion(place), root), `${place} of ${size}`)
}

describe('tiles', () => {
  test('another reader finds root, entries and proofs in them, around every edge', () => {
    assert.deepEqual([...filesOf([]).keys()], [])
    for (const size of [1, 2, 255, 256, 257, 511, 512, 513]) checkWhole(size, [0, size - 1, Math.floor(size / 2)])
    checkWhole(65_537, [0, 255, 256, 65_535, 65_536])
  })

  test('of any size', () => fc.assert(fc.property(fc.integer({ min: 1, max: 1_500 }), fc.nat(), (size, place) => checkWhole(size, [place % size])), { numRuns: 40 }))

  test('names and sizes are those of the specification', () => {
    const files = filesOf(entriesOf(70_000))
    const widths = (level: string) => [...files].filter(([path]) => path.startsWith(`tile/${level}/`))
    assert.equal(widths('0').filter(([path, bytes]) => !path.includes('.p/') && bytes.length === 8_192).length, 273)
    assert.deepEqual(widths('0').filter(([path]) => path.includes('.p/')).map(([path, bytes]) => [path, bytes.length]), [['tile/0/273.p/112', 112 * 32]])
    assert.deepEqual([...widths('1'), ...widths('2')].map(([path, bytes]) => [path, bytes.length]), [['tile/1/000', 8_192], ['tile/1/001.p/17', 17 * 32], ['tile/2/000.p/1', 32]])
    assert.ok(files.has('tile/entries/273.p/112'))
    const many = tilesOf((function* () { for (;;) yield '' })())
    let path = ''
    while (!path.startsWith('tile/0/x')) path = many.next().value?.path ?? path
    assert.equal(path, 'tile/0/x001/000')
    assert.equal(filesOf(['a'.repeat(65_535)]).get('tile/entries/000.p/1')?.length, 65_537)
    assert.throws(() => filesOf(['a'.repeat(65_536)]), /65536 bytes/)
  })

  test('a tile that is missing, cut off or changed is found by its name', () => {
    const size = 66_000
    const whole = filesOf(entriesOf(size))
    const root = treeOf(entriesOf(size))
    const said = (path: string, edit: (bytes: Buffer) => Buffer | undefined): string => {
      const files = new Map(whole)
      const edited = edit(Buffer.from(files.get(path)!))
      if (edited === undefined) files.delete(path)
      else files.set(path, edited)
      try {
        readerOf(files, size).entries()
        return readerOf(files, size).root().equals(root) ? 'nothing' : 'another root'
      } catch (error) {
        return String(error)
      }
    }
    const flip = (bytes: Buffer): Buffer => {
      bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
      return bytes
    }
    for (const path of ['tile/0/007', 'tile/0/257.p/208', 'tile/1/000', 'tile/entries/007', 'tile/entries/257.p/208']) {
      assert.match(said(path, () => undefined), new RegExp(`${path}: missing`))
      assert.match(said(path, (bytes) => bytes.subarray(0, -1)), new RegExp(`${path}: `))
      assert.match(said(path, flip), /is not (what level 0 says|the root of the tile below)/, path)
    }
    assert.match(said('tile/2/000.p/1', flip), /tile\/2\/000\.p\/1: hash 0 is not/)
    assert.equal(said('tile/0/007', (bytes) => bytes), 'nothing')
  })
})
