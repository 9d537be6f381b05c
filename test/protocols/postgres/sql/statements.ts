import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isBuiltinOperator } from '../../../../src/protocols/postgres/sql/builtins.ts'
import type { StatementReading } from '../../../../src/protocols/postgres/sql/reading.ts'

export interface Expected {
  readonly kinds: string
  readonly names: string
  readonly sql: string
}

/** The table of statements.txt. */
export const statements: readonly Expected[] = readFileSync(join(import.meta.dirname, 'statements.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [kinds = '', names = '', ...sql] = line.split(' | ')
    return { kinds, names, sql: sql.join(' | ') }
  })

const spelled = ({ schema, name }: { readonly schema?: string; readonly name: string }): string => (schema === undefined ? name : `${schema}.${name}`)

/** A reading in the words of statements.txt. */
export const written = (reading: StatementReading): { readonly kinds: string; readonly names: string } => ({
  kinds: reading.kinds.join(' '),
  names: [
    ...reading.relations.map((relation) => `${relation.defined === true ? '*' : relation.access === 'write' ? '+' : ''}${spelled(relation)}`),
    ...reading.functions.map((called) => `${spelled(called)}()`),
    ...reading.types.map((type) => `::${spelled(type)}`),
    ...reading.operators.filter(({ schema, name }) => schema !== undefined || !isBuiltinOperator(name)).map((operator) => `op:${spelled(operator)}`),
    ...(reading.filtered === undefined ? [] : [reading.filtered ? 'filtered' : 'unfiltered']),
    ...(reading.forbidden === undefined ? [] : ['forbidden']),
    ...(reading.control === undefined ? [] : [reading.control.does]),
  ].join(' '),
})
