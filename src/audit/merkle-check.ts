import { hash } from 'node:crypto'

/*
 * Checks proofs, by the algorithms of RFC 9162 and by nothing that makes them: a mistake of the one is not repeated by the other.
 * Every hash of a proof must be used, and every use must have its hash.
 */

const parent = (left: Buffer, right: Buffer): Buffer => hash('sha256', Buffer.concat([Buffer.of(1), left, right]), 'buffer')
const isOdd = (n: number): boolean => n % 2 === 1
const half = (n: number): number => Math.floor(n / 2)
const isPlace = (n: number): boolean => Number.isSafeInteger(n) && n >= 0

/** RFC 9162, 2.1.4.2: that a tree of so many leaves has grown out of one of fewer. */
export const isConsistent = (oldSize: number, oldRoot: Buffer, size: number, root: Buffer, proof: readonly Buffer[]): boolean => {
  if (!isPlace(oldSize) || !isPlace(size) || oldSize > size) return false
  if (oldSize === size) return proof.length === 0 && oldRoot.equals(root)
  if (oldSize === 0) return proof.length === 0 // of nothing everything grows
  let [at, last] = [oldSize - 1, size - 1]
  while (isOdd(at)) [at, last] = [half(at), half(last)]
  // A tree that was complete is in the new one as it is, and is not told again.
  const [first, ...rest] = at === 0 ? [oldRoot, ...proof] : proof
  if (first === undefined) return false
  let [before, now] = [first, first]
  for (const beside of rest) {
    if (last === 0) return false
    if (isOdd(at) || at === last) {
      before = parent(beside, before)
      now = parent(beside, now)
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)]
    } else now = parent(now, beside)
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && before.equals(oldRoot) && now.equals(root)
}

/** RFC 9162, 2.1.3.2. */
export const isIncluded = (leafHash: Buffer, index: number, size: number, proof: readonly Buffer[], root: Buffer): boolean => {
  if (!isPlace(index) || !isPlace(size) || index >= size) return false
  let [at, last, node] = [index, size - 1, leafHash]
  for (const beside of proof) {
    if (last === 0) return false
    if (isOdd(at) || at === last) {
      node = parent(beside, node)
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)]
    } else node = parent(node, beside)
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && node.equals(root)
}
