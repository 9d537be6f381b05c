import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Node } from '@pgsql/types'

/** The text is no SQL: the parser's own answer, with the place in characters as far as it knows. */
export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem'
}

/** The parser could not cope with the text, or there is none at the moment. */
export class ParserFailure extends Error {
  override readonly name = 'ParserFailure'
}

export interface RawStatement {
  readonly stmt?: Node
  /** In bytes of UTF-8. */
  readonly stmt_location?: number
  readonly stmt_len?: number
}

export interface Token {
  /** In bytes of UTF-8. */
  readonly start: number
  readonly end: number
  readonly text: string
  readonly tokenName: string
  readonly keywordName: string
}

export interface Parser {
  statements(text: string): readonly RawStatement[]
  tokens(text: string): readonly Token[]
  /** When all spares are there again. */
  ready(): Promise<void>
}

interface Instance {
  /** Another array once the memory has grown. */
  readonly HEAPU8: Uint8Array
  _malloc(bytes: number): number
  _free(pointer: number): void
  _wasm_parse_query_raw(text: number): number
  _wasm_free_parse_result(result: number): void
  _wasm_scan(text: number): number
  _wasm_free_string(text: number): void
  lengthBytesUTF8(text: string): number
  stringToUTF8(text: string, pointer: number, bytes: number): void
  UTF8ToString(pointer: number): string
  getValue(pointer: number, type: 'i32'): number
}

type Factory = (options: {
  print: (line: string) => void
  printErr: (line: string) => void
  instantiateWasm: (imports: unknown, ready: (instance: unknown) => void) => void
}) => Promise<Instance>

type Compiled = object

/** The part of the platform that no types of ours describe. */
const { WebAssembly: wasm } = globalThis as unknown as {
  readonly WebAssembly: { compile(code: Uint8Array): Promise<Compiled>; readonly Instance: new (module: Compiled, imports: unknown) => unknown }
}

const require = createRequire(import.meta.url)

const usualSpares = 2

let compiled: Promise<Compiled> | undefined

const compile = async (): Promise<Compiled> => wasm.compile(await readFile(require.resolve('libpg-query/wasm/libpg-query.wasm')))

const silent = (): void => {}

const instantiate = async (module: Compiled): Promise<Instance> => {
  const factory = require('libpg-query/wasm/libpg-query.js') as Factory
  return factory({ print: silent, printErr: silent, instantiateWasm: (imports, ready) => ready(new wasm.Instance(module, imports)) })
}

const withText = <T>(instance: Instance, text: string, work: (pointer: number) => T): T => {
  const bytes = instance.lengthBytesUTF8(text) + 1
  const pointer = instance._malloc(bytes)
  if (pointer === 0) throw new ParserFailure('out of memory')
  instance.stringToUTF8(text, pointer, bytes)
  const result = work(pointer)
  // Not after an exception: such an instance is thrown away whole.
  instance._free(pointer)
  return result
}

const parse = (instance: Instance, text: string): readonly RawStatement[] | SyntaxProblem =>
  withText(instance, text, (pointer) => {
    const result = instance._wasm_parse_query_raw(pointer)
    if (result === 0) throw new ParserFailure('out of memory')
    const tree = instance.getValue(result, 'i32')
    const error = instance.getValue(result + 8, 'i32')
    const answer = error === 0 ? instance.UTF8ToString(tree) : undefined
    const message = error === 0 ? 0 : instance.getValue(error, 'i32')
    const problem = message === 0 ? 'cannot be parsed' : instance.UTF8ToString(message)
    instance._wasm_free_parse_result(result)
    if (answer === undefined) return new SyntaxProblem(problem)
    return (JSON.parse(answer) as { readonly stmts?: readonly RawStatement[] }).stmts ?? []
  })

const scan = (instance: Instance, text: string): readonly Token[] | SyntaxProblem =>
  withText(instance, text, (pointer) => {
    const result = instance._wasm_scan(pointer)
    const answer = instance.UTF8ToString(result)
    instance._wasm_free_string(result)
    return answer.startsWith('{') ? ((JSON.parse(answer) as { readonly tokens?: readonly Token[] }).tokens ?? []) : new SyntaxProblem(answer)
  })

/**
 * The parser of the PostgreSQL server. Whatever it throws beside its own syntax errors may have ruined its memory:
 * that instance is never asked again, and a spare takes its place. While there is no spare every text fails.
 */
export const makeParser = async (spares = usualSpares): Promise<Parser> => {
  const module = await (compiled ??= compile())
  const ready: Instance[] = []
  let atFirst = 0
  let filling: Promise<void> | undefined
  const fill = async (): Promise<void> => {
    while (ready.length <= spares) {
      const instance = await instantiate(module)
      atFirst ||= instance.HEAPU8.length
      ready.push(instance)
    }
  }
  const refill = (): Promise<void> =>
    (filling ??= fill().finally(() => {
      filling = undefined
    }))
  const retire = (): void => {
    ready.shift()
    // An instance that cannot be made now is tried again at the next text that finds none.
    refill().catch(silent)
  }
  const ask = <T>(text: string, work: (instance: Instance, text: string) => T | SyntaxProblem): T => {
    const [instance] = ready
    if (instance === undefined) {
      refill().catch(silent)
      throw new ParserFailure('no parser is ready')
    }
    const exitCode = process.exitCode
    let answer: T | SyntaxProblem
    try {
      answer = work(instance, text)
    } catch (error) {
      // Emscripten's exit() sets it.
      process.exitCode = exitCode
      retire()
      throw new ParserFailure('the parser gave up', { cause: error })
    }
    // It would keep the memory that this text needed.
    if (instance.HEAPU8.length > atFirst) retire()
    if (answer instanceof SyntaxProblem) throw answer
    return answer
  }
  await refill()
  return { statements: (text) => ask(text, parse), tokens: (text) => ask(text, scan), ready: () => (ready.length > spares ? Promise.resolve() : refill()) }
}
