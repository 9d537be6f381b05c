import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { isConsistent } from '../../src/audit/merkle-check.ts'
import { rootOf } from '../../src/audit/merkle-proof.ts'
import { consistencyProof, MerkleRange } from '../../src/audit/merkle-range.ts'

/* RFC 6962, 2.1.2, written down as it stands, over leaf hashes: shares nothing with what makes or checks proofs. */
const sha256 = (...parts: Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const k = (n: number): number => {
  let power = 1
  while (power * 2 < n) power *= 2
  return power
}
const MTH = (d: readonly Buffer[]): Buffer => (d.length === 0 ? sha256() : d.length === 1 ? d[0]! : sha256(Buffer.of(1), MTH(d.slice(0, k(d.length))), MTH(d.slice(k(d.length)))))
const SUBPROOF = (m: number, d: readonly Buffer[], b: boolean): Buffer[] =>
  m === d.length ? (b ? [] : [MTH(d)]) : m <= k(d.length) ? [...SUBPROOF(m, d.slice(0, k(d.length)), b), MTH(d.slice(k(d.length)))] : [...SUBPROOF(m - k(d.length), d.slice(k(d.length)), false), MTH(d.slice(0, k(d.length)))]

const leaves = Array.from({ length: 70 }, (_, at) => sha256(Buffer.of(0), Buffer.from(`record ${at}`)))

const ranges = (before: number, size: number): readonly [MerkleRange, MerkleRange] => {
  const [old, since] = [new MerkleRange(0), new MerkleRange(before)]
  for (const leaf of leaves.slice(0, before)) old.append(leaf)
  for (const leaf of leaves.slice(before, size)) since.append(leaf)
  return [old, since]
}

test('what is kept of a tree makes the proof of the definition, for every two sizes, and that is taken', () => {
  for (let size = 1; size <= leaves.length; size++) {
    for (let before = 1; before <= size; before++) {
      const [old, since] = ranges(before, size)
      const proof = consistencyProof(old, since)
      assert.deepEqual(proof, SUBPROOF(before, leaves.slice(0, size), true), `${before} of ${size}`)
      assert.ok(isConsistent(before, rootOf(leaves, 0, before), size, rootOf(leaves, 0, size), proof), `${before} of ${size}`)
      assert.deepEqual(old.with(since).root(0, size), rootOf(leaves, 0, size))
    }
  }
  assert.deepEqual(consistencyProof(...ranges(0, 9)), [])
})

test('nothing that was changed in a proof, or is of other sizes or trees, is taken', () => {
  const cases = fc.integer({ min: 2, max: 70 }).chain((size) => fc.record({ size: fc.constant(size), before: fc.integer({ min: 1, max: size - 1 }), at: fc.nat(), bit: fc.integer({ min: 0, max: 255 }), other: fc.integer({ min: 1, max: 90 }) }))
  const flipped = (hash: Buffer, bit: number): Buffer => {
    const copy = Buffer.from(hash)
    copy[bit >> 3]! ^= 1 << (bit & 7)
    return copy
  }
  fc.assert(
    fc.property(cases, ({ size, before, at, bit, other }) => {
      const proof = consistencyProof(...ranges(before, size))
      const [oldRoot, root] = [rootOf(leaves, 0, before), rootOf(leaves, 0, size)]
      const wrong = [
        isConsistent(before, flipped(oldRoot, bit), size, root, proof),
        isConsistent(before, oldRoot, size, flipped(root, bit), proof),
        isConsistent(before, oldRoot, size, root, [...proof, root]),
        isConsistent(before, oldRoot, size, root, proof.slice(1)),
        isConsistent(before, oldRoot, size, root, proof.slice(0, -1)),
        isConsistent(before, oldRoot, size, root, proof.with(at % proof.length, flipped(proof[at % proof.length]!, bit))),
        isConsistent(size, root, before, oldRoot, proof),
        isConsistent(-1, oldRoot, size, root, proof),
      ]
      if (other !== before) wrong.push(isConsistent(other, rootOf(leaves, 0, Math.min(other, 70)), size, flipped(root, bit), proof))
      assert.deepEqual(wrong.filter(Boolean), [])
    }),
    { numRuns: 300 },
  )
})
