import { emptyRoot, nodeHash } from './merkle-tree.ts'
import { split } from './merkle-proof.ts'

interface Node {
  readonly from: number
  readonly size: number
  readonly hash: Buffer
}

/** The leaves from one place of a tree on, as the roots of the largest complete parts of it: about as many as its size has bits. */
export class MerkleRange {
  readonly from: number
  readonly #nodes: Node[]

  constructor(from: number, nodes: readonly Node[] = []) {
    this.from = from
    this.#nodes = [...nodes]
  }

  /** Behind the last leaf. */
  get to(): number {
    const last = this.#nodes.at(-1)
    return last === undefined ? this.from : last.from + last.size
  }

  append(leafHash: Buffer): void {
    this.#push({ from: this.to, size: 1, hash: leafHash })
  }

  #push(node: Node): void {
    let made = node
    for (let left = this.#nodes.at(-1); left !== undefined && left.size === made.size && left.from % (2 * left.size) === 0; left = this.#nodes.at(-1)) {
      this.#nodes.pop()
      made = { from: left.from, size: 2 * left.size, hash: nodeHash(left.hash, made.hash) }
    }
    this.#nodes.push(made)
  }

  /** Both together, where the other one begins where this one ends. */
  with(next: MerkleRange): MerkleRange {
    if (next.from !== this.to) throw new Error('ranges that do not meet')
    const whole = new MerkleRange(this.from, this.#nodes)
    for (const node of next.#nodes) whole.#push(node)
    return whole
  }

  /** Over a part that is made of whole nodes of it; nothing for any other. */
  root(from: number, to: number): Buffer | undefined {
    const inside = this.#nodes.filter((node) => node.from >= from && node.from + node.size <= to)
    if (inside[0]?.from !== from || inside.reduce((sum, { size }) => sum + size, 0) !== to - from) return from === to ? emptyRoot : undefined
    return inside.map(({ hash }) => hash).reduceRight((right, left) => nodeHash(left, right))
  }
}

/** RFC 6962, 2.1.2: that the tree of both is one that has grown out of the first, from what is known of each. */
export const consistencyProof = (old: MerkleRange, since: MerkleRange): readonly Buffer[] => {
  const [before, size] = [old.to, since.to]
  if (before === 0 || before === size) return []
  const root = (from: number, to: number): Buffer => {
    const found = to <= before ? old.root(from, to) : since.root(from, to)
    if (found === undefined) throw new Error(`no root from ${from} to ${to}`)
    return found
  }
  // The last complete part of the old tree is a node of the new one: the way up from there.
  let seed = 1
  while (before % (2 * seed) === 0) seed *= 2
  const path: Buffer[] = []
  for (let [from, to] = [0, size]; !(from === before - seed && to === before); ) {
    const middle = from + split(to - from)
    path.push(before <= middle ? root(middle, to) : root(from, middle))
    if (before <= middle) to = middle
    else from = middle
  }
  return [...(seed === before ? [] : [root(before - seed, before)]), ...path.reverse()]
}
