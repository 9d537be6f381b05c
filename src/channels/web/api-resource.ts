import type { IncomingMessage, ServerResponse } from 'node:http'

export interface Visit {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  /** The part of the path that stands for an id. */
  readonly id: string
}

export type Answer = { readonly status: number; readonly body: unknown } | undefined

/** What one path answers to. */
export interface Resource {
  readonly path: RegExp
  readonly GET?: (visit: Visit) => Promise<Answer>
  readonly POST?: (visit: Visit) => Promise<Answer>
}
