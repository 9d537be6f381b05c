/** Names and texts inside SQL of our own. Right for every session that we serve: `standard_conforming_strings` is on and the encoding is UTF-8. */
export const identifier = (name: string): string => `"${withoutNul(name).replaceAll('"', '""')}"`

/** An escape string, so that it is read the same whatever the setting: backslashes are doubled. */
export const literal = (text: string): string => `${text.includes('\\') ? ' E' : ''}'${withoutNul(text).replaceAll('\\', '\\\\').replaceAll("'", "''")}'`

const withoutNul = (text: string): string => {
  if (text.includes('\0')) throw new Error('a text with a NUL inside cannot be written in SQL')
  return text
}
