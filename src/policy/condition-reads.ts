import type { ASTNode } from '@marcbachmann/cel-js'

/** A fact, from its root on: `http json amount`. */
export type FactPath = readonly string[]

const isNode = (value: unknown): value is ASTNode => typeof value === 'object' && value !== null && 'op' in value && 'args' in value

const nodesIn = (value: unknown): readonly ASTNode[] => (isNode(value) ? [value] : Array.isArray(value) ? value.flatMap(nodesIn) : typeof value === 'object' && value !== null ? Object.values(value).flatMap(nodesIn) : [])

/** The fact that this node is, if it says so by names alone. */
const pathOf = (node: ASTNode, bound: ReadonlySet<string>): FactPath | undefined => {
  if (node.op === 'id') return bound.has(node.args) ? undefined : [node.args]
  if (node.op !== '.' && node.op !== '[]') return undefined
  const [base, member]: readonly unknown[] = node.args
  const from = isNode(base) ? pathOf(base, bound) : undefined
  const name = typeof member === 'string' ? member : isNode(member) && member.op === 'value' && typeof member.args === 'string' ? member.args : undefined
  return from === undefined || name === undefined ? undefined : [...from, name]
}

const loops = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])

/** Every fact that an expression can look at, each as narrow as its text says: of what is computed, the whole of what it is computed from. */
export const readsOf = (node: ASTNode, bound: ReadonlySet<string> = new Set()): readonly FactPath[] => {
  const path = pathOf(node, bound)
  if (path !== undefined) return [path]
  if (node.op === 'id') return []
  if (node.op !== 'rcall') return nodesIn(node.args).flatMap((part) => readsOf(part, bound))
  const [name, receiver, parameters] = node.args
  const [variable] = parameters
  const inner = loops.has(name) && variable?.op === 'id' ? new Set([...bound, variable.args]) : bound
  return [...readsOf(receiver, bound), ...parameters.flatMap((part) => readsOf(part, inner))]
}
