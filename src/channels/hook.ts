/** What a chat posts to the console's address: whole, and not believed yet. */
export interface Post {
  /** Every value of a header, as it came. */
  headers(name: string): readonly string[]
  readonly body: Buffer
  readonly address: string
}

/** An address below the console's that a chat calls. Who calls is checked here, and nothing of the body is read before. */
export interface Hook {
  readonly path: string
  readonly mostBytes: number
  /** Throws a `Refusal` for whatever is not believed. A `body` is answered as JSON. */
  answer(post: Post): Promise<{ readonly status: number; readonly body?: unknown }>
}
