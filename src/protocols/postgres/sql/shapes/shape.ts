import type * as tree from '@pgsql/types'

/** Names of all nodes of the parser's tree. */
export type NodeName = tree.Node extends infer One ? (One extends unknown ? keyof One & string : never) : never

export type NodeOf<Name extends NodeName> = Extract<tree.Node, Record<Name, unknown>> extends Record<Name, infer One> ? One : never

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Nodes that stand in a field without their name around them. */
type Inlined<Value> = { [Name in NodeName]: Same<NodeOf<Name>, Value> extends true ? Name : never }[NodeName]

/**
 * What a field holds: `node` and `nodes` with their names around them, a name for a node without it, `plain` for text and numbers,
 * `analysed` for what no parser writes: such a field is refused.
 */
type FieldShape<Field, Value> =
  Field extends 'xpr' ? 'analysed'
  : Same<Value, tree.Node> extends true ? 'node'
  : Same<Value, tree.Node[]> extends true ? 'nodes'
  : Value extends string | number | boolean | bigint | readonly bigint[] ? 'plain'
  : [Inlined<Value>] extends [never] ? 'analysed'
  : Inlined<Value> | 'analysed'

/** All fields of all nodes; the type check proves that none is missing and that each is what the parser's types say. */
export type Shapes = { readonly [Name in NodeName]: { readonly [Field in keyof Required<NodeOf<Name>>]: FieldShape<Field, Required<NodeOf<Name>>[Field]> } }

export type AnyShape = Readonly<Record<string, string>>
