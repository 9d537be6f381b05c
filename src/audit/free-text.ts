/**
 * What a record may carry of words that were not written by us: causes (driver and network errors quote what they were given)
 * and people's reasons. Places where secrets stand are masked by their form:
 * - a URL keeps its host and path: what stands before its last `@` and after its first `?` or `#` goes
 * - `Bearer …`, `Basic …` and what follows `Authorization:` or `Cookie:`
 * - the value beside a name like password, secret, token, key (`name=value`, `name: value`, `PASSWORD 'value'`)
 * - tokens that show what they are: JWTs, vendors' key prefixes, long random runs
 * A secret that stands alone between ordinary words cannot be told from a word. Whoever writes a cause must not quote one.
 *
 * Patterns see at most `seen` characters and none of them repeats inside a repetition, so the time is bounded.
 */
export const freeText = (text: string): string => {
  const masked = looksPlain.test(text) && text.length <= kept ? text : mask(text.slice(0, seen))
  return masked.length > kept ? `${masked.slice(0, kept)} [cut]` : masked
}

const seen = 4_000
const kept = 500

/** Short words and ordinary punctuation only: nothing below can match. The usual case, and cheap. */
const looksPlain = /^(?:[A-Za-z]{1,12}[ .,]{1,2}){0,60}[A-Za-z]{0,12}$/

const secretName = '(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_ ]?key|access[-_ ]?key|private[-_ ]?key|credential|signature|session[-_ ]?id|otp)'
const masks: readonly (readonly [RegExp, string | ((...match: string[]) => string)])[] = [
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)([^\s"'<>]*)/gi, (_all, scheme = '', rest = '') => scheme + maskUrl(rest)],
  [/\?[^\s"'=?]{1,100}=[^\s"']*/g, '?***'],
  [/\b(authorization|(?:set-)?cookie)(["']?\s{0,3}[:=])[^\r\n]*/gi, '$1$2 ***'],
  [/\b(bearer|basic|negotiate|dpop)\s{1,3}[^\s"',;]{6,}/gi, '$1 ***'],
  [new RegExp(`(${secretName}[\\w-]{0,40}["']?\\s{0,3}[:=]\\s{0,3})(?:"[^"]*"?|'[^']*'?|[^\\s,;&)}\\]]+)`, 'gi'), '$1***'],
  [new RegExp(`(${secretName}[\\w-]{0,40}\\s{1,3})(?:"[^"]*"?|'[^']*'?)`, 'gi'), '$1***'],
  [/\beyJ[\w-]{5,}(?:\.[\w-]*){0,4}/g, '***'],
  [/\b(?:(?:sk|pk|rk|ghp|gho|ghs|ghu|glpat|xox[abeprs]|hvs|npm)[-_][\w-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{12,})/g, '***'],
  [/[A-Za-z0-9+/_-]{32,}={0,2}/g, (run) => (/[a-z]/.test(run!) && /[A-Z]/.test(run!) && /[0-9]/.test(run!) ? '***' : run!)],
]

const mask = (text: string): string => masks.reduce((masked, [pattern, by]) => (typeof by === 'string' ? masked.replace(pattern, by) : masked.replace(pattern, by)), text)

const maskUrl = (rest: string): string => {
  const at = rest.lastIndexOf('@')
  const shown = at === -1 ? rest : `***@${rest.slice(at + 1)}`
  const query = shown.search(/[?#]/)
  return query === -1 ? shown : `${shown.slice(0, query)}?***`
}
