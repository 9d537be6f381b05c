import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { leafHash } from '../../src/lib/leaf-hash.ts'
import { isIncluded } from '../../src/audit/merkle-check.ts'
import { inclusionProof, rootOf } from '../../src/audit/merkle-proof.ts'
import { MerkleTree } from '../../src/audit/merkle-tree.ts'

/* The definitions of RFC 6962, section 2.1, written down as they stand: a second implementation that shares nothing with the first. */
const sha256 = (...parts: Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const k = (n: number): number => {
  let power = 1
  while (power * 2 < n) power *= 2
  return power
}
const MTH = (d: readonly Buffer[]): Buffer => (d.length === 0 ? sha256() : d.length === 1 ? sha256(Buffer.of(0), d[0]!) : sha256(Buffer.of(1), MTH(d.slice(0, k(d.length))), MTH(d.slice(k(d.length)))))
const PATH = (m: number, d: readonly Buffer[]): Buffer[] => (d.length === 1 ? [] : m < k(d.length) ? [...PATH(m, d.slice(0, k(d.length))), MTH(d.slice(k(d.length)))] : [...PATH(m - k(d.length), d.slice(k(d.length))), MTH(d.slice(0, k(d.length)))])

const leafOf = (data: Buffer): Buffer => sha256(Buffer.of(0), data)
const dataOf = (size: number): Buffer[] => Array.from({ length: size }, (_, at) => Buffer.from(`record ${at}`))

test('the roots are those that everybody else computes of the same leaves', () => {
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map((hex) => Buffer.from(hex, 'hex'))
  const roots = ['e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125', 'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77', 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7', '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4', '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef', 'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c', '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328']
  const tree = new MerkleTree()
  for (const [size, root] of roots.entries()) {
    assert.equal(tree.root().toString('hex'), root, `of ${size}`)
    assert.equal(rootOf(leaves.slice(0, size).map(leafOf)).toString('hex'), root, `of ${size}, at once`)
    if (size < leaves.length) tree.append(leafOf(leaves[size]!).toString('base64'))
  }
  assert.equal(tree.size, 8)
  assert.equal(Buffer.from(leafHash('\x20\x21'), 'base64').toString('hex'), leafOf(leaves[3]!).toString('hex'), 'a line of the journal is hashed as a leaf')
})

test('proofs are those of the definition, and are taken for what they are', () => {
  for (const size of [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 70]) {
    const data = dataOf(size)
    const leaves = data.map(leafOf)
    const root = MTH(data)
    for (let index = 0; index < size; index++) {
      const proof = inclusionProof(leaves, index)
      assert.deepEqual(proof, PATH(index, data), `${index} of ${size}`)
      assert.ok(isIncluded(leaves[index]!, index, size, proof, root), `${index} of ${size}`)
    }
  }
})

const flipped = (hash: Buffer, bit: number): Buffer => {
  const copy = Buffer.from(hash)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}

test('nothing that was changed in a proof is taken', () => {
  const sizes = fc.integer({ min: 1, max: 200 }).chain((size) => fc.record({ size: fc.constant(size), index: fc.integer({ min: 0, max: size - 1 }), bit: fc.integer({ min: 0, max: 255 }), at: fc.nat(), other: fc.integer({ min: 0, max: 300 }) }))
  fc.assert(
    fc.property(sizes, ({ size, index, bit, at, other }) => {
      const leaves = dataOf(size).map(leafOf)
      const [root, proof] = [rootOf(leaves), inclusionProof(leaves, index)]
      const wrong: boolean[] = [
        isIncluded(flipped(leaves[index]!, bit), index, size, proof, root),
        isIncluded(leaves[index]!, index, size, proof, flipped(root, bit)),
        isIncluded(leaves[index]!, index, size, [...proof, root], root),
        isIncluded(leaves[index]!, size, size, proof, root),
        isIncluded(leaves[index]!, -1, size, proof, root),
        isIncluded(leaves[index]!, index + 0.5, size, proof, root),
      ]
      if (proof.length > 0) wrong.push(isIncluded(leaves[index]!, index, size, proof.with(at % proof.length, flipped(proof[at % proof.length]!, bit)), root), isIncluded(leaves[index]!, index, size, proof.slice(1), root), isIncluded(leaves[index]!, index, size, proof.slice(0, -1), root))
      if (other !== index && other < size) wrong.push(isIncluded(leaves[index]!, other, size, proof, root))
      assert.deepEqual(wrong.filter(Boolean), [])
    }),
    { numRuns: 300 },
  )
})
