import { hash } from 'node:crypto'

/** RFC 6962: a node over its two children. */
export const nodeHash = (left: Buffer, right: Buffer): Buffer => {
  prefixed.set(left, 1)
  prefixed.set(right, 33)
  return hash('sha256', prefixed, 'buffer')
}
const prefixed = Buffer.alloc(65, 1)

/** The root of a tree without leaves. */
export const emptyRoot: Buffer = hash('sha256', '', 'buffer')

/** A tree that grows by leaves. Of what is complete it keeps one hash each: as many as its size has bits. */
export class MerkleTree {
  /** Roots of the complete trees that it is made of, by height; a hole where its size has no bit. */
  readonly #edge: (Buffer | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  append(leafHash: Buffer): void {
    let node = leafHash
    let height = 0
    for (let left = this.#edge[0]; left !== undefined; left = this.#edge[++height]) {
      node = nodeHash(left, node)
      this.#edge[height] = undefined
    }
    this.#edge[height] = node
    this.#size++
  }

  root(): Buffer {
    let node: Buffer | undefined
    for (const left of this.#edge) if (left !== undefined) node = node === undefined ? left : nodeHash(left, node)
    return node ?? emptyRoot
  }
}
