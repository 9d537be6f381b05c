import { z } from 'zod'
import { configSchema } from './schema.ts'

/** What editors check countersign.yaml against: the same description that the program reads it by. */
export const configJsonSchema = (): object => ({
  ...z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7', unrepresentable: 'any' }),
  title: 'countersign.yaml',
})

export const configJsonSchemaText = (): string => `${JSON.stringify(configJsonSchema(), null, 2)}\n`
