import { z } from 'zod'
import { casesSchema } from './cases.ts'
import { fileSchema } from './language.ts'

/** What editors complete and underline by; generated from the shapes that the loader itself uses. */
const published = (schema: z.ZodType, title: string): string => `${JSON.stringify({ title, ...z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'input' }) }, undefined, 2)}\n`

export const policyJsonSchema = (): string => published(fileSchema, 'Countersign policy or classification')
export const casesJsonSchema = (): string => published(casesSchema, 'Cases of a Countersign policy')
