/** A record as it was read from a file: who could write there could write anything, so nothing of it is believed to be there. */
export type RecordData = Readonly<Record<string, unknown>>

const nothing: RecordData = {}

export const isObject = (value: unknown): value is RecordData => typeof value === 'object' && value !== null && !Array.isArray(value)
export const part = (value: unknown): RecordData => (isObject(value) ? value : nothing)
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
export const parts = (value: unknown): readonly RecordData[] => list(value).map(part)
export const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
