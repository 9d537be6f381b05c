/** Whether texts still mean to the server what they mean to us. Anything else ends the session. */
export const readable = (name: string, value: string): boolean => {
  if (name === 'client_encoding') return value === 'UTF8'
  if (name === 'standard_conforming_strings') return value === 'on'
  return true
}
