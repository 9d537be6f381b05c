import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument, visit } from 'yaml'
import { pathText, type Problem } from './problem.ts'

export interface Position {
  readonly line: number
  readonly column: number
}

export type Path = readonly PropertyKey[]

/** What a YAML text says, not yet checked, with the places where it says it. */
export interface YamlSource {
  readonly file: string
  readonly value: unknown
  /** Where the value at the path stands, or the nearest thing around it. */
  locate(path: Path): Position
  /** Where the key of the member at the path stands. */
  locateKey(path: Path): Position
  /** The line as it is written. */
  lineAt(line: number): string
  /** The line up to the value: what can be shown of a line that may hold a secret. */
  keyOnly(line: number): string
}

/** Larger than any file that people write by hand. */
const MAX_CHARACTERS = 1_048_576
const MAX_DEPTH = 64
/** More than the depth, because brackets in comments and prose count as well. */
const MAX_BRACKETS = 256
const MAX_PROBLEMS = 50

const START: Position = { line: 1, column: 1 }

/**
 * The part of YAML 1.2 that everybody reads the same way: the core schema, one document, no key twice.
 * No aliases, merge keys, tags and directives: each makes a text say something else than it seems to say.
 */
export const readYaml = (text: string, file: string): { readonly source: YamlSource } | { readonly problems: readonly Problem[] } => {
  const whole = (message: string) => ({ problems: [{ file, ...START, path: '', message }] })
  if (text.length > MAX_CHARACTERS) return whole(`longer than ${MAX_CHARACTERS} characters`)
  if (deepest(text) > MAX_BRACKETS) return whole('too many brackets are open at one time')
  const counter = new LineCounter()
  const lines = text.split(/\r\n|\n|\r/)
  const place = (offset: number): Position => {
    const { line, col } = counter.linePos(offset)
    return line < 1 ? START : { line, column: col }
  }
  let document: Document
  try {
    document = parseDocument(text, { lineCounter: counter, version: '1.2', schema: 'core', uniqueKeys: true, strict: true, merge: false, stringKeys: true, prettyErrors: false })
  } catch (error) {
    return whole(error instanceof RangeError ? 'nested too deeply' : `not YAML: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (document.errors.some(({ message }) => message.includes('call stack'))) return whole(`nested deeper than ${MAX_DEPTH}`)
  const source = makeSource(file, document, place, lines)
  const at = (offset: number, message: string): Problem => {
    const { line, column } = place(offset)
    return { file, line, column, path: '', message, excerpt: source.keyOnly(line) }
  }
  const problems = [...[...document.errors, ...document.warnings].map((fault) => at(fault.pos[0], faultText(fault.code, fault.message))), ...directives(lines, file), ...unclear(document, at)]
  if (problems.length > 0) {
    const told = new Set<string>()
    const first = problems.toSorted((a, b) => a.line - b.line || a.column - b.column).filter(({ line, message }) => !told.has(`${line} ${message}`) && told.add(`${line} ${message}`))
    return { problems: first.slice(0, MAX_PROBLEMS) }
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return whole('the file is empty')
  return { source: { ...source, value: document.toJS({ maxAliasCount: 0 }) } }
}

/** Brackets that are open at one time, quotes and comments counted in: an upper bound that costs nothing, for a parser that recurses. */
const deepest = (text: string): number => {
  let depth = 0
  let most = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 0x5b || code === 0x7b) most = Math.max(most, ++depth)
    else if ((code === 0x5d || code === 0x7d) && depth > 0) depth--
  }
  return most
}

const faultText = (code: string, message: string): string => {
  switch (code) {
    case 'MULTIPLE_DOCS':
      return 'a second document begins here; one file holds one'
    case 'DUPLICATE_KEY':
      return 'this key stands here twice; which one counts would be a guess'
    case 'TAB_AS_INDENT':
      return 'a tab indents this line; YAML indents with spaces'
    case 'TAG_RESOLVE_FAILED':
      return 'tags (!name) are not read here'
    case 'NON_STRING_KEY':
      return 'a key must be text'
    default:
      return message.split('\n', 1)[0] ?? message
  }
}

const directives = (lines: readonly string[], file: string): readonly Problem[] =>
  lines.flatMap((line, index) => (line.startsWith('%') ? [{ file, line: index + 1, column: 1, path: '', message: 'directives (%…) are not read here; the file is YAML 1.2' }] : []))

/** What is legal YAML and yet says another thing than most people read. */
const unclear = (document: Document, at: (offset: number, message: string) => Problem): readonly Problem[] => {
  const problems: Problem[] = []
  const tell = (node: Node, message: string): void => void problems.push(at(node.range?.[0] ?? 0, message))
  visit(document, {
    Alias: (_key, node) => tell(node, `aliases (*${node.source}) are not read here; write the value out`),
    Pair: (_key, { key }) => {
      if (!isScalar(key)) return
      if (key.value === '<<') tell(key, 'merge keys (<<) are not read here; write the members out')
      if (key.value === '__proto__') tell(key, 'this cannot be a key')
    },
    Value: (_key, node, path) => {
      if ('anchor' in node && node.anchor !== undefined) tell(node, `anchors (&${String(node.anchor)}) are not read here`)
      // The composer notes a tag only where the text has one.
      if (node.tag !== undefined) tell(node, 'tags (!name) are not read here')
      if (isScalar(node) && typeof node.value === 'number' && /^[-+]?0\d/.test(node.source ?? '')) tell(node, 'a number with a leading zero: put it in quotes if it is text')
      // Indentation nests as well as brackets do.
      return path.length > 2 * MAX_DEPTH ? (tell(node, `nested deeper than ${MAX_DEPTH}`), visit.BREAK) : undefined
    },
  })
  return problems
}

const makeSource = (file: string, document: Document, place: (offset: number) => Position, lines: readonly string[]): YamlSource => {
  const pairAt = (path: Path) => {
    const parent = path.length < 2 ? document.contents : document.getIn(path.slice(0, -1), true)
    return isMap(parent) ? parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(path.at(-1))) : undefined
  }
  const locate = (path: Path): Position => {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true)
      if (isNode(node) && node.range && node.range[1] > node.range[0]) return place(node.range[0])
      const key = pairAt(path.slice(0, length))?.key
      if (isNode(key) && key.range) return place(key.range[0])
    }
    return isNode(document.contents) && document.contents.range ? place(document.contents.range[0]) : START
  }
  const locateKey = (path: Path): Position => {
    const pair = pairAt(path)
    return isPair(pair) && isNode(pair.key) && pair.key.range ? place(pair.key.range[0]) : locate(path)
  }
  const lineAt = (line: number): string => lines[line - 1] ?? ''
  const keyOnly = (line: number): string => /^(\s*(?:- )*(?:[A-Za-z0-9_-]+|"[^"]{0,64}"|'[^']{0,64}')\s*:)(\s.*)?$/.exec(lineAt(line))?.slice(1, 3).map((part, index) => (index === 0 ? part : part?.trim() ? ' …' : '')).join('') ?? ''
  return { file, value: undefined, locate, locateKey, lineAt, keyOnly }
}

/** A problem of the value, or of the key, at a path. */
export const problemAt = (source: YamlSource, path: Path, message: string, how: { readonly nearest?: string | undefined; readonly on?: 'key' | 'value'; readonly quote?: boolean } = {}): Problem => {
  const { line, column } = how.on === 'key' ? source.locateKey(path) : source.locate(path)
  const whole = source.lineAt(line)
  const excerpt = how.quote === true && isHarmless(whole) ? whole : source.keyOnly(line)
  return { file: source.file, line, column, path: pathText(path), message, ...(how.nearest === undefined ? {} : { nearest: how.nearest }), ...(excerpt === '' ? {} : { excerpt }) }
}

/** A line with one member at most, and no credentials in a URL: nothing else than the value that the problem is about can be seen. */
const isHarmless = (line: string): boolean => !line.includes('{') && (line.match(/:(?=\s|$)/g)?.length ?? 0) <= 1 && !/:\/\/[^\s/]*@/.test(line)
