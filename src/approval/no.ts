import { defined } from '../lib/defined.ts'
import type { Hold } from '../model/hold.ts'
import { leastAssurance } from './assurance.ts'
import { Refusal, type RefusalCode } from '../model/refusal.ts'
import { leastReason } from './marks.ts'

/*
 * What people and agents read when a hold says no. Each text says what happened, whether the action ran, and what to do next.
 */

const until = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`
const rules = (hold: Hold): string | undefined => hold.matched.find((match) => match.then === 'hold' && !match.observed)?.rule
const lastReason = (hold: Hold): string => {
  const reason = hold.votes.findLast((vote) => vote.verdict === 'deny')?.reason
  return reason ? ` Their reason: "${reason}".` : ''
}

const about = (hold: Hold, extra: { readonly retryAfterSeconds?: number; readonly cause?: unknown; readonly instead?: string } = {}) => ({ hold, ...extra, ...defined({ rule: rules(hold) }) })

export const pending = (hold: Hold, cause?: string): Refusal =>
  new Refusal('hold-pending', `NOT EXECUTED. Waiting for approval ${hold.code} until ${until(hold.state === 'approved' ? (hold.runBy ?? hold.deadline) : hold.deadline)}. Repeat the identical request to keep waiting.`, about(hold, { retryAfterSeconds: 5, ...defined({ cause }) }))

export const denied = (hold: Hold): Refusal =>
  new Refusal('hold-denied', `NOT EXECUTED. An approver said no to ${hold.code}.${lastReason(hold)} Do not repeat it; do something else or ask a person.`, about(hold, defined({ instead: hold.matched.find((match) => match.instead !== undefined)?.instead })))

export const expired = (hold: Hold): Refusal =>
  new Refusal('hold-expired', `NOT EXECUTED. ${hold.runBy === undefined ? `Nobody decided about ${hold.code} in time.` : `The approval ${hold.code} was not used in time.`} Send the request again, without naming this hold, to ask anew.`, about(hold))

export const withdrawn = (hold: Hold): Refusal => new Refusal('hold-withdrawn', `NOT EXECUTED. The request ${hold.code} was taken back. Send it again, without naming this hold, to ask anew.`, about(hold))

export const spent = (hold: Hold): Refusal => {
  const [happened, next] =
    hold.state === 'running' ? ['is being used by another attempt, which is running now', 'Do not send it again; look at the hold for how it ended.']
    : hold.state === 'executed' ? ['has been used: the action was executed once', 'This attempt did nothing. An approval works once.']
    : hold.state === 'failed' ? ['has been used: the action was tried once and failed', 'This attempt did nothing. Send the request again, without naming this hold, to ask anew.']
    : ['has been used, and nobody can say whether the action took effect', 'This attempt did nothing. Check at the target before you ask for it again.']
  return new Refusal('hold-spent', `The approval ${hold.code} ${happened}. ${next}`, about(hold, hold.state === 'running' ? { retryAfterSeconds: 5 } : {}))
}

export const changed = (hold: Hold, cause: string): Refusal =>
  new Refusal('hold-changed', `NOT EXECUTED. ${cause} The approval ${hold.code} does not suffice any more${hold.state === 'pending' ? '; it waits for approval again. Repeat the identical request to keep waiting.' : '. Send the request again to ask anew.'}`, about(hold, { retryAfterSeconds: 5 }))

export const absent = (hold: Hold): Refusal =>
  new Refusal('hold-changed', `NOT EXECUTED. The policy does not let ${hold.code} run without its caller any more. Repeat the identical request to run it.`, about(hold))

export const flooded = (by: 'caller' | 'service'): Refusal =>
  new Refusal('too-many-holds', `NOT EXECUTED. Too many actions ${by === 'caller' ? 'of this caller' : 'for this service'} wait for approval already. Wait until some are decided, or take some back.`, { retryAfterSeconds: 30 })

export const crowded = (hold: Hold): Refusal =>
  new Refusal('too-many-waiting', `NOT EXECUTED. ${hold.code} waits for approval, but this connection cannot wait with it: too many do. Repeat the identical request later.`, about(hold, { retryAfterSeconds: 15 }))

export const draining = (hold: Hold): Refusal => new Refusal('draining', `NOT EXECUTED. This server is shutting down; the approval ${hold.code} is still good. Repeat the identical request at once.`, about(hold, { retryAfterSeconds: 1 }))

export const unknownHold = (): Refusal => new Refusal('not-found', 'There is no such hold.')

export const anotherAction = (): Refusal => new Refusal('wrong-digest', 'NOT EXECUTED. This request is not the one that the named hold is for: something in it differs. Send it without naming a hold to ask for approval.')

export const untrusted = (cause: unknown): Refusal =>
  new Refusal('store-unavailable', 'NOT EXECUTED. The record of this hold cannot be trusted: what is stored does not match the digest and the seal that this system wrote it under. It will not be used; the operators have to look at it.', { cause })

export const busy = (): Refusal => new Refusal('store-unavailable', 'This hold is changing too fast. NOT EXECUTED. Try again.', { retryAfterSeconds: 1 })

/** Why somebody may not approve, in the same words wherever they read it. */
export const obstacles = {
  'not-eligible': 'You are not among those who may decide about this action. Agents never vote, and programs only where a rule names them: wait for a person.',
  'self-approval': 'You are behind this action yourself: as its caller, as the one it acts for, as an owner, or by another account. Somebody else has to decide.',
  'already-voted': 'You have voted already. Each person counts once.',
} as const satisfies Partial<Record<RefusalCode, string>>

/** Where a yes to this counts, for whoever gave one elsewhere. */
export const takenThrough = ({ terms: { requirements } }: Hold): string => `The rule takes a yes through these alone: ${[...new Set(requirements.flatMap(({ channels = [] }) => channels))].join(', ')}. Approve it there.`

const votes: Partial<Record<RefusalCode, (hold: Hold, cause: string) => string>> = {
  'not-eligible': () => obstacles['not-eligible'],
  'assurance-too-low': ({ terms }) => `This asks to be surer that it is you. Approve it in the console${leastAssurance(terms) === 'passkey' ? ' with a passkey' : ''}${terms.requirements.some(({ freshLoginMs }) => freshLoginMs !== undefined) ? ', once you have signed in there again' : ''}. Your vote changed nothing.`,
  'wrong-channel': (hold) => `${takenThrough(hold)} Your vote changed nothing.`,
  'not-together': (_hold, cause) => `This is looked at by itself: ${cause}. It was left out, and your vote changed nothing. Decide it on its own.`,
  'self-approval': () => obstacles['self-approval'],
  'already-voted': () => obstacles['already-voted'],
  'already-settled': (hold) => `This is decided already: ${hold.state}. Your vote changed nothing.`,
  'wrong-digest': () => 'What you saw is not what is waiting. Your vote changed nothing. Load the page again and look at the action once more.',
  'reason-required': () => 'Please give a reason: the rule asks for one.',
  'hold-expired': () => 'The time to decide is over. Your vote changed nothing.',
}

export const voteRefused = (code: RefusalCode, hold: Hold, cause: string, shown: boolean): Refusal =>
  new Refusal(code, votes[code]?.(hold, cause) ?? 'This vote does not count.', shown ? { cause, hold } : { cause })

const breaking: Partial<Record<RefusalCode, (hold: Hold) => string>> = {
  'not-eligible': () => 'You are not among those who may break the glass for every rule that holds this, or not signed in as surely as they ask. Agents and programs never may: wait for a person.',
  'reason-required': (hold) => `Say why, in at least ${leastReason(hold.terms)} characters: everybody whom you pass over reads it.`,
}

export const breakGlassRefused = (code: RefusalCode, hold: Hold, cause: string, shown: boolean): Refusal =>
  new Refusal(code, breaking[code]?.(hold) ?? votes[code]?.(hold, cause).replace('Your vote changed nothing', 'You changed nothing') ?? 'The glass is whole.', shown ? { cause, hold } : { cause })

const reviewing: Partial<Record<RefusalCode, string>> = {
  'not-eligible': 'Only those who may decide about this can review it.',
  'self-approval': 'You broke the glass yourself, or are behind the action. Somebody else has to look at it.',
  'already-settled': 'There is nothing to review here.',
  'reason-required': 'Say in a few words what you found.',
}

export const reviewRefused = (code: RefusalCode, hold: Hold, cause: string): Refusal => new Refusal(code, reviewing[code] ?? 'This review does not count.', { cause, hold })
