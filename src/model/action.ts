import type { Protocol } from './service.ts'

/** `sha256:` and 64 hex digits over exactly what will run. */
export type Digest = `sha256:${string}`

export interface Resource {
  readonly kind: 'path' | 'table' | 'column' | 'function' | 'tool'
  readonly name: string
  readonly access: 'read' | 'write'
  readonly tags: readonly string[]
}

/** What is asked. Frozen when made; what was judged, what is shown and what runs are this one value. */
export interface Action {
  readonly protocol: Protocol
  readonly service: string
  /** `http.POST`, `sql.delete`, `mcp.tools/call` … */
  readonly verb: string
  /** Chooses the durability of its record: a read may be recorded without waiting for the disk. */
  readonly effect: 'read' | 'write'
  readonly resources: readonly Resource[]
  /** All data tags of all resources. */
  readonly tags: readonly string[]
  /** What a person reads: the request line and body, or the statement. Bounded; may be hostile. */
  readonly text: string
  /** True where `text` had to be cut: what is cut cannot be approved in a channel that shows only the text. */
  readonly textCut: boolean
  /** What rules may look at, by protocol: `{ http: { method, path, query, headers, json … } }`. */
  readonly facts: Readonly<Record<string, unknown>>
  readonly digest: Digest
  /** Equal for actions that differ only in their values: groups cards, counts repeats, never grants anything by itself. */
  readonly shape: string
}
