import { z } from 'zod'
import { checkSigned, differingFrom, readStatement, type SpokenYes } from '../approval/spoken-yes.ts'
import { PasskeyProblem } from '../lib/webauthn.ts'
import type { Digest } from '../model/action.ts'
import { sameParty, type Party } from '../model/caller.ts'

/* Votes that somebody has in a file, and what passkeys signed for them: read without a server, and without believing anything but signatures. */

const party = z.looseObject({ issuer: z.string(), subject: z.string() })
const bounds = z.object({ times: z.number(), rows: z.number().optional(), withinMs: z.number() })
const evidence = z.object({ statement: z.string(), passkey: z.string(), publicKey: z.string(), clientData: z.string(), authenticatorData: z.string(), signature: z.string() })
const vote = z.looseObject({ verdict: z.enum(['approve', 'deny']), by: party, assurance: z.string(), digest: z.string(), reason: z.string().optional(), shown: z.string().optional(), grant: bounds.optional(), evidence: evidence.optional(), at: z.union([z.number(), z.string()]) })
const hold = z.looseObject({ id: z.string(), votes: z.array(vote) })
const voted = z.looseObject({ type: z.literal('voted'), hold: z.string(), vote })
const change = z.looseObject({ type: z.enum(['passkey-added', 'passkey-removed']), time: z.string(), caller: party, passkey: z.looseObject({ id: z.string(), name: z.string(), publicKey: z.string() }) })

type Evidence = z.infer<typeof evidence>

export interface FoundVote {
  readonly hold: string
  readonly by: Party
  readonly at: number
  /** A record masks and shortens reasons. */
  readonly recorded: boolean
  readonly vote: z.infer<typeof vote>
}

export interface PasskeyChange {
  readonly added: boolean
  readonly at: number
  readonly owner: Party
  readonly id: string
  readonly name: string
  readonly publicKey: string
}

export interface Found {
  readonly votes: readonly FoundVote[]
  readonly changes: readonly PasskeyChange[]
}

/** A hold as the server shows it, or lines of holds or of records. What is neither is passed over. */
export const readVotes = (text: string): Found => {
  const votes: FoundVote[] = []
  const changes: PasskeyChange[] = []
  for (const value of valuesIn(text)) {
    const one = hold.safeParse(value).data
    for (const each of one?.votes ?? []) votes.push(foundVote(one?.id ?? '', each, false))
    const record = voted.safeParse(value).data
    if (record !== undefined) votes.push(foundVote(record.hold, record.vote, true))
    const { type, time = '', caller, passkey } = change.safeParse(value).data ?? {}
    if (caller !== undefined && passkey !== undefined) changes.push({ added: type === 'passkey-added', at: Date.parse(time), owner: caller, ...passkey })
  }
  return { votes, changes }
}

const foundVote = (id: string, one: z.infer<typeof vote>, recorded: boolean): FoundVote => ({ hold: id, by: one.by, at: typeof one.at === 'number' ? one.at : Date.parse(one.at), recorded, vote: one })

const valuesIn = function* (text: string): Generator<unknown> {
  const whole = parsed(text)
  if (whole !== undefined) return yield* Array.isArray(whole) ? whole : [whole]
  for (const line of text.split('\n')) if (line.startsWith('{')) yield parsed(line)
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export interface Verified {
  readonly yes: SpokenYes
  /** The words of the reason are the signed ones, or cannot be: a record masks and shortens them. */
  readonly reason: 'signed' | 'none' | 'not kept whole'
  /** Who added the passkey, where the file says so. */
  readonly owner?: { readonly at: number; readonly name: string }
}

/** Throws `PasskeyProblem`: what was signed is not this vote. */
export const verifyVote = ({ hold: id, by, at, recorded, vote: one }: FoundVote, signed: Evidence, changes: readonly PasskeyChange[]): Verified => {
  const yes = readStatement(signed.statement)
  const { reason, shown, grant } = one
  const differing = differingFrom(yes, id, { verdict: one.verdict, by, digest: one.digest as Digest, ...(reason === undefined ? {} : { reason }), ...(shown === undefined ? {} : { shown }), ...(grant === undefined ? {} : { grant: grant as NonNullable<SpokenYes['grant']> }) })
  const isShortened = recorded && reason !== undefined && yes.reason !== undefined && /\*\*\*| \[cut\]$/.test(reason)
  const wrong = differing.filter((member) => !(member === 'reason' && isShortened))
  if (wrong.length > 0) throw new PasskeyProblem(`another ${wrong.join(', ')} was signed than is in the vote`)
  checkSigned(signed, yes)
  const owner = ownerOf(signed, yes, at, changes)
  return { yes, reason: reason === undefined ? 'none' : differing.includes('reason') ? 'not kept whole' : 'signed', ...(owner === undefined ? {} : { owner }) }
}

/** Of a record and of a vote, which have the time from different clocks. */
const clockGapMs = 60_000

/** What the file tells of the passkey up to the vote must be that this voter had added it, with this key, and not removed it. */
const ownerOf = ({ passkey, publicKey }: Evidence, { voter }: SpokenYes, at: number, changes: readonly PasskeyChange[]): Verified['owner'] => {
  const told = changes.filter(({ id }) => id === passkey).toSorted((a, b) => a.at - b.at)
  if (told.length === 0) return undefined
  const added = told.findLast((each) => each.added && each.at <= at + clockGapMs)
  const removed = told.findLast((each) => !each.added && each.at <= at)
  if (added === undefined || (removed !== undefined && removed.at > added.at)) throw new PasskeyProblem(removed === undefined ? 'the passkey was added later than it was used' : 'the passkey had been removed before')
  if (!sameParty(added.owner, voter)) throw new PasskeyProblem('somebody else had added the passkey')
  if (added.publicKey !== publicKey) throw new PasskeyProblem('the passkey was added with another key')
  return { at: added.at, name: added.name }
}
