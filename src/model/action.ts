import type { Protocol } from './service.ts'

/** `sha256:` and 64 hex digits over exactly what will run. */
export type Digest = `sha256:${string}`

export interface Resource {
  readonly kind: 'path' | 'table' | 'column' | 'function' | 'tool'
  readonly name: string
  readonly access: 'read' | 'write'
  readonly tags: readonly string[]
}

/** Where in a database server it runs, and as whom. What the digest is over. */
export interface Place {
  readonly database: string
  readonly role: string
}

/** What it would do, as far as anybody can say beforehand: for approvers. Never a part of the digest, and no promise. */
export interface Impact {
  /** By the planner. */
  readonly estimatedRows?: number
  /** Counted in the database. */
  readonly exactRows?: number
  /** Whether it changes rows and nothing says which; absent where no rows are changed, or nobody can say. */
  readonly unfiltered?: boolean
  /** Others wait for locks that it keeps while it is held. */
  readonly keepsLocks?: boolean
  /** Our own words, one fact each. */
  readonly notes: readonly string[]
}

/** One statement of several that are asked for at once: what rules look at. */
export type ActionPart = Pick<Action, 'verb' | 'verbs' | 'effect' | 'resources' | 'tags' | 'facts'> & {
  /** Of a plan, whose statements are run one by one: what a person reads, bounded as that of the whole. */
  readonly text?: string
  /** Of a plan, likewise, as things stood before all of it. */
  readonly impact?: Impact
}

/** Whether it is a plan: statements that are run one by one, in this order, in one transaction or not at all. */
export const isPlan = ({ parts }: Pick<Action, 'parts'>): boolean => parts !== undefined && parts.every(({ text }) => text !== undefined)

/** What actions of one kind have in common. */
export interface ActionPattern {
  /** All that must be the same, but for the path of a request. */
  readonly same: string
  /** For people: the action, with what may differ left open. `path`: that of a request, as far as it must be the same. */
  text(path: string): string
}

/** What is asked. Frozen when made; what was judged, what is shown and what runs are this one value. */
export interface Action {
  readonly protocol: Protocol
  readonly service: string
  /** Of databases. */
  readonly place?: Place
  /** `http.POST`, `sql.delete`, `mcp.tools/call` … The first of `verbs`. */
  readonly verb: string
  /** Everything it does, the gravest first; one for most. A DELETE in a WITH of a SELECT does both. */
  readonly verbs: readonly string[]
  /** Chooses the durability of its record: a read may be recorded without waiting for the disk. */
  readonly effect: 'read' | 'write'
  readonly resources: readonly Resource[]
  /** All data tags of all resources. */
  readonly tags: readonly string[]
  /** What a person reads: the request line and body, or the statement. Bounded; may be hostile. */
  readonly text: string
  /** True where `text` had to be cut: what is cut cannot be approved in a channel that shows only the text. */
  readonly textCut: boolean
  /** The same text with `•••` in the place of every value, for whoever may know what is done and not with which data. Equal to `text`: it has no values. Absent: they cannot be told from the rest. */
  readonly outline?: string | undefined
  /** What rules may look at, by protocol: `{ http: { method, path, query, headers, json … } }`. */
  readonly facts: Readonly<Record<string, unknown>>
  /** Several statements in one text, each judged by itself; one denied denies all, one held holds all. The members above are of all of them. */
  readonly parts?: readonly ActionPart[]
  readonly impact?: Impact
  readonly digest: Digest
  /** Absent: there are no others of its kind. */
  readonly pattern?: ActionPattern
  /** Equal for actions that differ only in their values: groups cards, counts repeats, never grants anything by itself. */
  readonly shape: string
}
