/** Whether texts still mean to the server what they mean to us. Anything else ends the session. */
export const readable = (name: string, value: string): boolean => {
  if (name === 'client_encoding') return value === 'UTF8'
  if (name === 'standard_conforming_strings') return value === 'on'
  return true
}

/** Settings that values are read by, as the server reports them. */
export const READING = ['DateStyle', 'IntervalStyle', 'TimeZone'] as const

const bound: ReadonlySet<string> = new Set([...READING.map((name) => name.toLowerCase()), 'bytea_output', 'extra_float_digits'])

/** Whether an approval is bound to its value: values are read or written by it. */
export const isBound = (name: string): boolean => bound.has(name.toLowerCase())
