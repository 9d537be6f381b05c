import { makeParser } from '../../../src/protocols/postgres/sql/parser.ts'
import { readWith } from '../../../src/protocols/postgres/sql/read.ts'
import type { Reading } from '../../../src/protocols/postgres/sql/reading.ts'

let parser: ReturnType<typeof makeParser> | undefined

/** How the product reads a text. */
export const read = async (text: string): Promise<Reading> => readWith(await (parser ??= makeParser()), text)
