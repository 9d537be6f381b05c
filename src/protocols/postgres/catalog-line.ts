import type { Ask } from './catalog/ask.ts'
import { Dialogue, type Rows } from './dialogue.ts'
import type { PostgresRole, PostgresServiceOptions } from './options.ts'
import { type Backend, connectUpstream } from './upstream.ts'

const askMs = 30_000
const rowBytes = 8 << 20

interface Line {
  readonly backend: Backend
  readonly dialogue: Dialogue
}

/** A connection of our own to one database, for reading its catalog. Opened when first asked, and again when it broke. No byte of a client's goes there. */
export class CatalogLine implements AsyncDisposable {
  readonly #service: PostgresServiceOptions
  readonly #role: PostgresRole
  readonly #closing = new AbortController()
  #line: Promise<Line> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(service: PostgresServiceOptions, role: PostgresRole = service.credential) {
    this.#service = service
    this.#role = role
  }

  /** One question after the other. */
  readonly ask: Ask = (sql) => {
    const answer = this.#last.then(() => this.#ask(sql))
    this.#last = answer.catch(() => {})
    return answer
  }

  async #ask(sql: string): Promise<Rows> {
    this.#line ??= this.#connect()
    try {
      const { dialogue } = await this.#line
      return await dialogue.ask(sql, askMs)
    } catch (error) {
      const line = await this.#line.catch(() => undefined)
      if (line === undefined || line.dialogue.over) this.#line = undefined
      throw error
    }
  }

  async #connect(): Promise<Line> {
    const backend = await connectUpstream(this.#service, this.#role, { applicationName: 'countersign catalog', parameters: new Map() }, this.#closing.signal)
    const dialogue = new Dialogue({
      backend,
      rowBytes,
      own: true,
      toClient: () => {},
      taken: () => true,
      ready: () => {},
      over: () => {
        this.#line = undefined
        backend.socket.destroy()
      },
    })
    dialogue.begin()
    return { backend, dialogue }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    const line = await this.#line?.catch(() => undefined)
    line?.dialogue.end(undefined)
  }
}
