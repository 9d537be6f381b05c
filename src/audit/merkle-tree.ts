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

/** The same with each hash as a text of 32 characters, one a byte: making a buffer of each costs more than the hash. */
const nodeText = (left: string, right: string): string => {
  prefixed.write(left, 1, 'latin1')
  prefixed.write(right, 33, 'latin1')
  return hash('sha256', prefixed, 'binary')
}

/** A tree that grows by leaves. Of what is complete it keeps one hash each: as many as its size has bits. */
export class MerkleTree {
  /** Roots of the complete trees that it is made of, by height; a hole where its size has no bit. */
  readonly #edge: (string | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** `leafHash`: in base64, as it stands in the log. */
  append(leafHash: string): void {
    let node = atob(leafHash)
    let height = 0
    for (let left = this.#edge[0]; left !== undefined; left = this.#edge[++height]) {
      node = nodeText(left, node)
      this.#edge[height] = undefined
    }
    this.#edge[height] = node
    this.#size++
  }

  root(): Buffer {
    let node: string | undefined
    for (const left of this.#edge) if (left !== undefined) node = node === undefined ? left : nodeText(left, node)
    return node === undefined ? emptyRoot : Buffer.from(node, 'latin1')
  }
}
