import type { Dialogue } from './dialogue.ts'
import type { Expecting } from './replies.ts'

interface Waiting {
  readonly sent: Expecting
  readonly bytes: Buffer
  readonly plans: boolean
}

const mostBytes = 4 << 20
const most = 2_048

/** Messages that wait for the decision about what follows them. */
export class Parked {
  readonly #dialogue: Dialogue
  #messages: Waiting[] = []
  #bytes = 0

  constructor(dialogue: Dialogue) {
    this.#dialogue = dialogue
  }

  get size(): number {
    return this.#messages.length
  }

  get full(): boolean {
    return this.#bytes > mostBytes || this.#messages.length > most
  }

  /** Planning one of them may run what nobody has judged. */
  get plans(): boolean {
    return this.#messages.some(({ plans }) => plans)
  }

  /** `plans`: planning it may run what nobody has judged. */
  add(sent: Expecting, bytes: Buffer, plans: boolean): void {
    this.#messages.push({ sent, bytes, plans })
    this.#bytes += bytes.length
  }

  send(): void {
    const messages = this.#messages
    if (messages.length === 0) return
    this.#messages = []
    this.#bytes = 0
    for (const { sent, bytes } of messages) this.#dialogue.send(sent, bytes)
  }

  /** They are never sent. */
  drop(): void {
    for (const { sent } of this.#messages) sent.failed?.(undefined)
    this.#messages = []
    this.#bytes = 0
  }
}
