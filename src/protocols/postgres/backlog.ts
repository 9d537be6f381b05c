/** What clients have sent and nobody has looked at yet, of all sessions together: each has its bound, but there are many. */
export class Backlog {
  readonly #most: number
  #bytes = 0

  constructor(most: number) {
    this.#most = most
  }

  /** One session's part has changed by so much. */
  add(bytes: number): void {
    this.#bytes += bytes
  }

  /** Who has more than a little of it may not add to it. */
  get full(): boolean {
    return this.#bytes > this.#most
  }
}
