/** Less than this is not worth it. */
const least = 4_096
/** More than this waits only behind a client that is slow, and is left to the collector. */
const mostHeld = 16

/**
 * Memory that rows have passed through, given back by hand as soon as they are with the client. The collector counts such memory until it has
 * looked through everything there is; where rows come at full speed it looks through everything again and again, for nothing.
 */
export class SpentMemory {
  #held: ArrayBuffer[] = []

  /** Only what nobody else has a part of, and nobody but the client's socket reads any more. */
  add(memory: ArrayBufferLike): void {
    if (memory instanceof ArrayBuffer && memory.byteLength >= least && this.#held.length < mostHeld) this.#held.push(memory)
  }

  /** All that was written out of it is with the system. Views of it are empty from now on. */
  free(): void {
    for (const memory of this.#held) memory.transfer(0)
    this.#held.length = 0
  }
}
