import { Refusal } from '../../model/refusal.ts'
import type { Frame } from './codec/frame.ts'
import { decodeFrontend, frontend } from './codec/frontend.ts'
import type { Dialogue } from './dialogue.ts'
import type { Execution } from './execution.ts'

/** COPY FROM STDIN: from the server's word that it wants data to the client's that there is no more. */
export class CopyIn {
  readonly #dialogue: Dialogue
  /** The one whose data the client sends; the query it belongs to, if it came in one. */
  #open: { readonly query: Execution | undefined } | undefined

  constructor(dialogue: Dialogue) {
    this.#dialogue = dialogue
  }

  /** Whether what the client sends now is data. */
  takes(): boolean {
    if (this.#dialogue.pipeline.copying === undefined) this.#open = undefined
    return this.#open !== undefined
  }

  /** An Execute that begins one was sent, maybe behind another whose end is on its way. Resolves once the server wants data for it, or has said no. */
  async ofExecute(execution: Execution | undefined): Promise<void> {
    const dialogue = this.#dialogue
    const { pipeline } = dialogue
    if (execution === undefined || pipeline.skipping) return
    dialogue.write()
    await dialogue.until(() => pipeline.copying === execution || execution.over)
    if (pipeline.copying === execution) this.#open = { query: undefined }
  }

  /** A Query that begins one was sent, or goes on behind the end of one: there may be several in it. */
  async ofQuery(execution: Execution): Promise<void> {
    const dialogue = this.#dialogue
    const { pipeline } = dialogue
    const before = pipeline.copies
    dialogue.write()
    await dialogue.until(() => pipeline.copies > before || execution.over)
    if (pipeline.copying === execution) this.#open = { query: execution }
  }

  /** As the server does, Sync and Flush are not counted here. */
  take(frame: Frame): Promise<void> | undefined {
    switch (frame.type) {
      case frontend.copyData:
        return void this.#dialogue.sendUnanswered(frame.bytes)
      case frontend.copyDone:
      case frontend.copyFail: {
        decodeFrontend(frame)
        const query = this.#open?.query
        this.#open = undefined
        this.#dialogue.sendUnanswered(frame.bytes)
        return query === undefined ? undefined : this.ofQuery(query)
      }
      case frontend.sync:
      case frontend.flush:
        return undefined
      default:
        throw new Refusal('malformed', 'Only the data of a COPY may be sent until it is done.')
    }
  }
}
