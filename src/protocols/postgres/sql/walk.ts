import { Collector } from './collector.ts'
import type { Token } from './parser.ts'
import type { SqlKind } from './reading.ts'
import { definitions } from './shapes/definitions.ts'
import { expressions } from './shapes/expressions.ts'
import type { AnyShape, NodeName, NodeOf } from './shapes/shape.ts'
import { statements } from './shapes/statements.ts'

/** A node, a field or a value that this program does not know: nothing can be said about the statement. */
export class Unclassified extends Error {
  override readonly name = 'Unclassified'
}

/** The text that a statement was read from. */
export interface Source {
  readonly text: string
  readonly tokens: () => readonly Token[]
}

/** Names of common table expressions that are visible here. */
export interface Scope {
  readonly names: ReadonlySet<string>
  readonly outer: Scope | undefined
}

/** What the place in the tree says about the nodes below it. */
export interface Place {
  readonly scope: Scope | undefined
  /** What a relation is named for, when nothing nearer says it. */
  readonly relations: 'read' | 'defined'
  /** The statement is not run: it is explained, or becomes part of a view, rule or function. */
  readonly quiet: boolean
  /** Not inside of another query. */
  readonly top: boolean
}

export interface Rest<Field> {
  /** Fields that the handler has dealt with. */
  readonly done?: readonly Field[]
  /** The place of the others, if it is another one. */
  readonly at?: Place
}

/**
 * Says what a node means and walks those of its fields that need care; all others are walked after it, as their shapes say.
 * The shapes have been checked before it is called.
 */
export type Handler<Name extends NodeName> = (node: NodeOf<Name>, walk: Walk, place: Place) => Rest<keyof NodeOf<Name>> | undefined

export type Handlers = { readonly [Name in NodeName]?: Handler<Name> }

type Fields = Readonly<Record<string, unknown>>

/** Handlers by the name of their node, whatever its type. */
export type HandlerTable = ReadonlyMap<string, (node: Fields, walk: Walk, place: Place) => Rest<string> | undefined>

export const handlerTable = (...all: readonly Handlers[]): HandlerTable => new Map(all.flatMap((handlers) => Object.entries(handlers) as [string, never][]))

const shapes: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map(
  Object.entries({ ...expressions, ...statements, ...definitions } as Readonly<Record<string, AnyShape>>).map(([name, shape]) => [name, new Map(Object.entries(shape))]),
)

export const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The name of a node and the node. */
export const opened = (value: unknown): readonly [name: string, fields: Fields] => {
  if (!isObject(value)) throw new Unclassified('a node is no object')
  const names = Object.keys(value)
  const [name = ''] = names
  const fields = value[name]
  if (names.length !== 1 || !isObject(fields)) throw new Unclassified(`not one node: ${names.join(', ')}`)
  return [name, fields]
}

/** One pass over the tree of one statement. */
export class Walk {
  readonly found: Collector = new Collector()
  readonly #handlers: HandlerTable
  readonly source: Source

  constructor(handlers: HandlerTable, source: Source) {
    this.#handlers = handlers
    this.source = source
  }

  /** Another pass with the same handlers, for a statement inside of this one. */
  fresh(): Walk {
    return new Walk(this.#handlers, this.source)
  }

  kind(kind: SqlKind, place: Place): void {
    if (!place.quiet) this.found.kinds.add(kind)
  }

  /** A node with its name around it. */
  node(value: unknown, place: Place): void {
    if (value === undefined) return
    const [name, fields] = opened(value)
    this.inlined(name, fields, place)
  }

  nodes(values: unknown, place: Place): void {
    if (values === undefined) return
    if (!Array.isArray(values)) throw new Unclassified('a list of nodes is no list')
    for (const value of values) {
      // An empty slot of a list, as for a DISTINCT without ON.
      if (isObject(value) && Object.keys(value).length === 0) continue
      this.node(value, place)
    }
  }

  /** A node without its name. */
  inlined(name: string, value: unknown, place: Place): void {
    if (value === undefined) return
    const shape = shapes.get(name)
    if (shape === undefined || !isObject(value)) throw new Unclassified(`the node ${name} is not known`)
    check(name, value, shape)
    const rest = this.#handlers.get(name)?.(value, this, place)
    for (const field of Object.keys(value)) {
      if (rest?.done?.includes(field)) continue
      const kind = shape.get(field) ?? ''
      const at = rest?.at ?? place
      if (kind === 'node') this.node(value[field], at)
      else if (kind === 'nodes') this.nodes(value[field], at)
      else if (kind !== 'plain') this.inlined(kind, value[field], at)
    }
  }
}

const check = (name: string, value: Fields, shape: ReadonlyMap<string, string>): void => {
  for (const field of Object.keys(value)) {
    const kind = shape.get(field)
    if (kind === undefined || kind === 'analysed') throw new Unclassified(`${name}.${field} is not known`)
    if (kind === 'plain' && typeof value[field] === 'object') throw new Unclassified(`${name}.${field} is no plain value`)
  }
}
