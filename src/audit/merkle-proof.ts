import { emptyRoot, nodeHash } from './merkle-tree.ts'

/** The largest power of two below so many, where a tree of that size is split. */
export const split = (size: number): number => 2 ** Math.floor(Math.log2(size - 1))

/** The root over some of the leaves. */
export const rootOf = (leaves: readonly Buffer[], from = 0, to = leaves.length): Buffer => {
  if (to === from) return emptyRoot
  if (to - from === 1) return leaves[from]!
  const middle = from + split(to - from)
  return nodeHash(rootOf(leaves, from, middle), rootOf(leaves, middle, to))
}

/** That the leaf at this place is in the tree of all these leaves: the hashes beside its way up, the lowest first. */
export const inclusionProof = (leaves: readonly Buffer[], index: number): readonly Buffer[] => inclusionPath(leaves.length, index, (from, to) => rootOf(leaves, from, to))

/** The same of a tree whose parts are known to somebody: the root over the leaves from one place up to another. */
export const inclusionPath = (size: number, index: number, root: (from: number, to: number) => Buffer): readonly Buffer[] => {
  const path: Buffer[] = []
  for (let [from, to] = [0, size]; to - from > 1; ) {
    const middle = from + split(to - from)
    path.push(index < middle ? root(middle, to) : root(from, middle))
    if (index < middle) to = middle
    else from = middle
  }
  return path.reverse()
}
