import type { FieldMask } from '../../../../src/protocols/postgres/rows/masking-writer.ts'

/** A DataRow with these fields. */
export const rowOf = (fields: readonly (Buffer | null)[]): Buffer => {
  const parts = fields.flatMap((field) => [int32(field === null ? -1 : field.length), field ?? Buffer.alloc(0)])
  const body = Buffer.concat([int16(fields.length), ...parts])
  return Buffer.concat([Buffer.from('D'), int32(body.length + 4), body])
}

/** The slow way: every row is taken apart and put together again. */
export const maskedSlowly = (rows: readonly (readonly (Buffer | null)[])[], masks: readonly FieldMask[]): Buffer =>
  Buffer.concat(
    rows.map((fields) =>
      rowOf(
        fields.map((field, at) => {
          const mask = masks[at]
          if (field === null || mask === undefined) return field
          const shown = typeof mask === 'function' ? mask(field) : mask
          const length = shown.readInt32BE(0)
          return length === -1 ? null : shown.subarray(4)
        }),
      ),
    ),
  )

export const descriptionOf = (columns: readonly { readonly table: number; readonly attribute: number; readonly type: number; readonly modifier?: number; readonly format?: number }[]): Buffer => {
  const parts = columns.map(({ table, attribute, type, modifier = -1, format = 0 }) => Buffer.concat([Buffer.from('c\0'), int32(table), int16(attribute), int32(type), int16(-1), int32(modifier), int16(format)]))
  const body = Buffer.concat([int16(columns.length), ...parts])
  return Buffer.concat([Buffer.from('T'), int32(body.length + 4), body])
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
