/** What we ourselves want to know from a request's headers, read in one pass. A list where more than one line would be ambiguous. */
export interface RequestNotes {
  authorization: string[]
  apiKey: string[]
  cookie: string[]
  origin: string | undefined
  fetchSite: string | undefined
  prefer: string | undefined
  hold: string | undefined
  reason: string | undefined
  idempotencyKey: string | undefined
  forwardedFor: string[]
  accept: string | undefined
}

const none: readonly string[] = Object.freeze([])
/** The lists are made only where there is something to put in. */
const put = (list: string[], value: string): string[] => ((list as readonly string[]) === none ? [value] : (list.push(value), list))

export const readNotes = (rawHeaders: readonly string[]): RequestNotes => {
  const empty = none as string[]
  const notes: RequestNotes = {
    authorization: empty, apiKey: empty, cookie: empty, origin: undefined, fetchSite: undefined, prefer: undefined, hold: undefined,
    reason: undefined, idempotencyKey: undefined, forwardedFor: empty, accept: undefined,
  }
  for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
    const value = rawHeaders[n + 1] as string
    switch ((rawHeaders[n] as string).toLowerCase()) {
      case 'authorization': notes.authorization = put(notes.authorization, value); break
      case 'x-api-key': notes.apiKey = put(notes.apiKey, value); break
      case 'cookie': notes.cookie = put(notes.cookie, value); break
      case 'origin': notes.origin = value; break
      case 'sec-fetch-site': notes.fetchSite = value; break
      case 'prefer': notes.prefer = notes.prefer === undefined ? value : `${notes.prefer}, ${value}`; break
      case 'countersign-hold': notes.hold = value; break
      case 'countersign-reason': notes.reason = value; break
      case 'idempotency-key': notes.idempotencyKey = value; break
      case 'x-forwarded-for': notes.forwardedFor = put(notes.forwardedFor, value); break
      case 'accept': notes.accept = value; break
      default:
    }
  }
  return notes
}

export interface Preference {
  readonly respondAsync: boolean
  readonly waitMs: number | undefined
}

const noPreference: Preference = { respondAsync: false, waitMs: undefined }

/** RFC 7240, the two preferences that we know. The first `wait` counts. */
export const readPreference = (prefer: string | undefined): Preference => {
  if (prefer === undefined || prefer.length > 1_000) return noPreference
  let respondAsync = false
  let waitMs: number | undefined
  for (const part of prefer.split(/[,;]/)) {
    const [name = '', value = ''] = part.split('=', 2).map((text) => text.trim())
    if (name.toLowerCase() === 'respond-async') respondAsync = true
    if (name.toLowerCase() === 'wait' && waitMs === undefined && /^"?\d{1,6}"?$/.test(value)) waitMs = Number(value.replaceAll('"', '')) * 1_000
  }
  return { respondAsync, waitMs }
}
