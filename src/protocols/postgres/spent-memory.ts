import { giveBack } from '../../lib/give-back.ts'

/** Less than this is not worth it. */
const least = 4_096
/** More than this waits only behind a client that is slow, and is left to the collector. */
const mostWaiting = 16

/** Memory that rows have passed through, given back as soon as they are with the client. */
export class SpentMemory {
  #fresh: ArrayBuffer[] = []
  /** Weakly: a client may ask for nothing more, and then nobody comes to give it back. */
  #waiting: WeakRef<ArrayBuffer>[] = []

  /** Only what nobody else has a part of, and nobody but the client's socket reads any more. */
  add(memory: ArrayBufferLike): void {
    if (memory instanceof ArrayBuffer && memory.byteLength >= least) this.#fresh.push(memory)
  }

  /** `taken`: all that was written out of it is with the system. Views of it are empty from then on. */
  settle(taken: boolean): void {
    if (taken) {
      for (const waiting of this.#waiting) giveBack(waiting.deref())
      for (const memory of this.#fresh) giveBack(memory)
      this.#waiting.length = 0
    } else {
      for (const memory of this.#fresh) if (this.#waiting.length < mostWaiting) this.#waiting.push(new WeakRef(memory))
    }
    this.#fresh.length = 0
  }
}
