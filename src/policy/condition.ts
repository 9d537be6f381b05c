import { Environment, serialize, type ASTNode } from '@marcbachmann/cel-js'
import { RE2JS } from 're2js'
import type { Protocol } from '../model/service.ts'
import { comparisonWarnings } from './condition-lint.ts'
import { readsOf, type FactPath } from './condition-reads.ts'
import { factTypes, type Facts } from './facts.ts'

/**
 * A CEL expression, compiled and type-checked against the declared facts.
 * It sees own properties only, calls nothing but CEL's own functions, and its regular expressions are linear-time literals.
 */
export interface Condition {
  readonly text: string
  /** The protocol whose facts it reads; the rule then speaks of that protocol's services alone. */
  readonly family: 'http' | 'sql' | 'mcp' | undefined
  /** Whether it reads what stands in the body of the request. */
  readonly needsBody: boolean
  /** Whether it asks how many rows a statement would touch. */
  readonly needsEstimate: boolean
  readonly warnings: readonly string[]
  /** Every fact that it can look at. */
  readonly reads: readonly FactPath[]
  /** Throws when the expression fails; what that means is the rule's business. */
  evaluate(facts: Facts): boolean
}

export interface ConditionProblem {
  readonly problem: string
  /** Offset in the expression. */
  readonly at: number
}

const MAX_LENGTH = 4096
const MAX_PATTERN = 512
/** Longest text that a regular expression is run on; a longer one makes the expression fail. */
const MAX_SUBJECT = 65_536
/** Steps of all loops together, estimated before they start. */
const MAX_STEPS = 200_000
/** Loops within loops. */
const MAX_NESTING = 2

const LOOPS = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])
const FAMILIES = new Set(['http', 'sql', 'mcp'])
/** Facts that are known from the head of an HTTP request, before its body. */
const HEAD_FACTS = new Set(['method', 'path', 'query', 'headers', 'host', 'scheme', 'segments', 'contentType', 'upgrade'])

export const protocolsOf = (family: Condition['family']): readonly Protocol[] =>
  family === undefined ? ['http', 'mcp', 'postgres', 'mysql'] : family === 'sql' ? ['postgres', 'mysql'] : [family]

/** Own versions for the functions of the library that backtrack or fold letters beyond ASCII. */
const REPLACED: Readonly<Record<string, string>> = { matches: 'matchesLinear', lowerAscii: 'toLowerAscii', upperAscii: 'toUpperAscii' }

const patterns = new Map<string, RE2JS>()

const makeEnvironment = (): Environment => {
  const environment = new Environment({ limits: { maxAstNodes: 500, maxDepth: 32, maxListElements: 500, maxMapEntries: 50, maxCallArguments: 8 } })
  for (const [name, { type, fields }] of Object.entries(factTypes)) environment.registerType(name, { ctor: type, fields: { ...fields } })
  return environment
    .registerVariable('caller', 'Caller')
    .registerVariable('action', 'Action')
    .registerVariable('service', 'Service')
    .registerVariable('http', 'Http')
    .registerVariable('sql', 'Sql')
    .registerVariable('mcp', 'Mcp')
    .registerVariable('now', 'google.protobuf.Timestamp')
    .registerFunction('string.matchesLinear(string): bool', (text: string, pattern: string) => {
      if (text.length > MAX_SUBJECT) throw new Error('the text is too long for a regular expression')
      const compiled = patterns.get(pattern)
      if (compiled === undefined) throw new Error('the pattern was not compiled when the policy was loaded')
      return compiled.matcher(text).find()
    })
    .registerFunction('string.toLowerAscii(): string', (text: string) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()))
    .registerFunction('string.toUpperAscii(): string', (text: string) => text.replace(/[a-z]+/g, (letters) => letters.toUpperCase()))
}

const environment = makeEnvironment()

const isNode = (value: unknown): value is ASTNode => typeof value === 'object' && value !== null && 'op' in value && 'args' in value

const childrenOf = (value: unknown): readonly ASTNode[] => (isNode(value) ? [value] : Array.isArray(value) ? value.flatMap(childrenOf) : [])

interface Survey {
  readonly roots: Set<string>
  needsBody: boolean
  needsEstimate: boolean
  nesting: number
  readonly patterns: string[]
  readonly warnings: string[]
}

const fail = (problem: string, node: ASTNode): never => {
  throw { problem, at: node.start } satisfies ConditionProblem
}

/** Looks at every node once; `bound` are the loop variables in scope, `loops` how many loops stand around it. */
const survey = (node: ASTNode, found: Survey, bound: ReadonlySet<string>, loops: number): void => {
  found.nesting = Math.max(found.nesting, loops)
  found.warnings.push(...comparisonWarnings(node))
  if (node.op === 'id') {
    if (bound.has(node.args)) return
    found.roots.add(node.args)
    if (node.args === 'http' || node.args === 'mcp') found.needsBody = true
    if (node.args === 'sql') found.needsEstimate = true
    return
  }
  if (node.op === '.' && isNode(node.args[0]) && node.args[0].op === 'id' && !bound.has(node.args[0].args)) {
    const [{ args: root }, field] = [node.args[0], node.args[1]]
    found.roots.add(root)
    if ((root === 'http' && !HEAD_FACTS.has(field)) || root === 'mcp' || (root === 'action' && (field === 'textLength' || field === 'digest'))) found.needsBody = true
    if (root === 'sql' && field === 'estimatedRows') found.needsEstimate = true
    return
  }
  if (node.op === 'rcall') return surveyCall(node, found, bound, loops)
  for (const child of childrenOf(node.args)) survey(child, found, bound, loops)
}

const surveyCall = (node: ASTNode & { op: 'rcall' }, found: Survey, bound: ReadonlySet<string>, loops: number): void => {
  const [name, receiver, parameters] = node.args
  if (name === 'bind') fail('cel.bind is not offered: write the expression out', node)
  survey(receiver, found, bound, loops)
  if (name === 'matches') surveyPattern(node, found)
  const [variable] = parameters
  if (!LOOPS.has(name) || variable?.op !== 'id') {
    for (const parameter of parameters) survey(parameter, found, bound, loops)
    return
  }
  if (FAMILIES.has(variable.args) || variable.args in { caller: 0, action: 0, service: 0, now: 0 }) fail(`the loop variable "${variable.args}" hides a fact of that name`, variable)
  const inner = new Set([...bound, variable.args])
  for (const parameter of parameters.slice(1)) survey(parameter, found, inner, loops + 1)
}

const surveyPattern = (node: ASTNode & { op: 'rcall' }, found: Survey): void => {
  const [pattern] = node.args[2]
  if (pattern === undefined) return
  if (pattern.op !== 'value' || typeof pattern.args !== 'string') return fail('the pattern of matches() must be a literal, so that it can be checked when the policy is loaded', pattern)
  if (pattern.args.length > MAX_PATTERN) fail(`a pattern of more than ${MAX_PATTERN} characters`, pattern)
  try {
    if (!patterns.has(pattern.args)) patterns.set(pattern.args, RE2JS.compile(pattern.args))
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), pattern)
  }
  if (!pattern.args.startsWith('^') || !pattern.args.endsWith('$')) found.warnings.push(`matches("${pattern.args}") looks for the pattern anywhere in the text; begin it with ^ and end it with $ if the whole text is meant`)
  return undefined
}

/** How much there is to walk in a value; stops counting at `limit`. */
const sizeOf = (value: unknown, limit: number): number => {
  let size = 0
  const open: unknown[] = [value]
  while (open.length > 0 && size < limit) {
    const next = open.pop()
    size++
    if (typeof next === 'string') size += next.length >> 6
    else if (Array.isArray(next)) for (const item of next) open.push(item)
    else if (typeof next === 'object' && next !== null) for (const key of Object.keys(next)) open.push((next as Record<string, unknown>)[key])
  }
  return size
}

const rename = (node: ASTNode): void => {
  if (node.op === 'rcall') {
    const args: [string, ...unknown[]] = node.args
    args[0] = Object.hasOwn(REPLACED, args[0]) ? (REPLACED[args[0]] ?? args[0]) : args[0]
  }
  for (const child of childrenOf(node.args)) rename(child)
}

export const compileCondition = (text: string): Condition | ConditionProblem => {
  if (text.trim() === '') return { problem: 'the condition is empty', at: 0 }
  if (text.length > MAX_LENGTH) return { problem: `a condition of more than ${MAX_LENGTH} characters`, at: 0 }
  const checked = environment.check(text)
  if (!checked.valid) return { problem: checked.error?.summary ?? 'not an expression', at: checked.error?.range?.start ?? 0 }
  if (checked.type !== 'bool') return { problem: `the condition yields ${checked.type}, not true or false`, at: 0 }
  const found: Survey = { roots: new Set(), needsBody: false, needsEstimate: false, nesting: 0, patterns: [], warnings: [] }
  try {
    const { ast } = environment.parse(text)
    survey(ast, found, new Set(), 0)
    if (found.nesting > MAX_NESTING) return { problem: `loops may be nested ${MAX_NESTING} deep`, at: 0 }
    const families = [...FAMILIES].filter((name) => found.roots.has(name))
    if (families.length > 1) return { problem: `a condition reads the facts of one protocol; this one reads ${families.join(' and ')}`, at: 0 }
    const reads = readsOf(ast)
    rename(ast)
    return finish(text, serialize(ast), families[0] as Condition['family'], found, reads)
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'problem' in error) return error as ConditionProblem
    return { problem: error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error), at: 0 }
  }
}

const finish = (text: string, rewritten: string, family: Condition['family'], found: Survey, reads: readonly FactPath[]): Condition | ConditionProblem => {
  const run = environment.parse(rewritten)
  const again = run.check()
  if (!again.valid) return { problem: again.error?.summary ?? 'not an expression', at: 0 }
  const { nesting } = found
  return {
    text,
    family,
    needsBody: found.needsBody,
    needsEstimate: found.needsEstimate,
    warnings: found.warnings,
    reads,
    evaluate: (facts) => {
      if (nesting > 0 && facts.size(sizeOf, MAX_STEPS) ** nesting > MAX_STEPS) throw new Error('the condition would take too many steps on an action of this size')
      const answer: unknown = run(facts)
      if (typeof answer !== 'boolean') throw new Error('the condition did not yield true or false')
      return answer
    },
  }
}
