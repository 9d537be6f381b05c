import { leafHash } from '../../lib/leaf-hash.ts'
import { BadReceipt, keyIdOf, openEnvelope, type ReceiptKey } from './envelope.ts'
import { readReceipt, type Receipt, type ReceiptPredicate } from './statement.ts'

/** One thing that was looked at, and what was seen, in words. */
export interface Check {
  readonly name: string
  /** `note`: nothing is wrong with it, and nothing is claimed of it. */
  readonly result: 'ok' | 'note' | 'wrong'
  readonly text: string
}

export interface CheckedReceipt {
  readonly receipt: Receipt
  readonly checks: readonly Check[]
}

const ok = (name: string, text: string): Check => ({ name, result: 'ok', text })
const note = (name: string, text: string): Check => ({ name, result: 'note', text })
const wrong = (name: string, text: string): Check => ({ name, result: 'wrong', text })

/** Times of a receipt are by the clocks of several replicas and of the store. */
const clockGapMs = 60_000

/**
 * A receipt against keys that come from whoever checks, with nothing of the deployment and no network.
 * Throws `BadReceipt` where nobody known vouches for it. What is signed and contradicts itself is `wrong` in the checks.
 */
export const checkReceipt = (bytes: Uint8Array, keys: readonly ReceiptKey[]): CheckedReceipt => {
  const { payload, by, strangers } = openEnvelope(bytes, keys)
  const receipt = readReceipt(payload)
  const { predicate } = receipt
  const speaks = by.filter(({ name }) => name === `${predicate.deployment}#receipts` || name === '')
  if (speaks.length === 0) throw new BadReceipt('forged', `the key of ${by.map(({ name }) => name).join(', ')} does not speak for ${predicate.deployment}`)
  return {
    receipt,
    checks: [
      ok('signature', `${by.map((key) => `${key.name === '' ? 'a key that was given' : key.name} (${keyIdOf(key).slice(0, 12)}…)`).join(', ')} signed every byte of what follows${strangers === 0 ? '' : `; ${strangers} more signature${strangers === 1 ? ' is' : 's are'} of nobody known and mean nothing`}`),
      ok('action', `it is about ${receipt.digest}`),
      votesCheck(receipt),
      orderCheck(predicate.times, predicate.approvers.map(({ at }) => at)),
      resultCheck(predicate),
      effectCheck(predicate),
      ...(predicate.partial ? [note('log', `it was made of ${predicate.log.length} records, and there are more: what came later is not in it`)] : []),
    ],
  }
}

const votesCheck = ({ digest, predicate: { approvers, requester } }: Receipt): Check => {
  if (approvers.length === 0) return note('votes', 'nobody was asked, or nobody has voted')
  const other = approvers.find((vote) => vote.digest !== digest)
  if (other !== undefined) return wrong('votes', `${other.subject} voted about another action: ${other.digest}`)
  const own = approvers.find((vote) => vote.verdict === 'approve' && [requester, ...requester.onBehalfOf].some((one) => [one, ...(one.owner ? [one.owner] : [])].some(({ issuer, subject }) => issuer === vote.issuer && subject === vote.subject)))
  if (own !== undefined) return wrong('votes', `${own.subject} approved their own action`)
  const twice = approvers.find((vote, at) => vote.verdict === 'approve' && approvers.findIndex((one) => one.verdict === 'approve' && one.issuer === vote.issuer && one.subject === vote.subject) !== at)
  if (twice !== undefined && approvers.filter(({ issuer, subject, dropped }) => !dropped && issuer === twice.issuer && subject === twice.subject).length > 1) return wrong('votes', `${twice.subject} is counted twice`)
  return ok('votes', `${approvers.length} ${approvers.length === 1 ? 'vote is' : 'votes are'} about this very action, none of the requester`)
}

const orderCheck = ({ requested, held, released, started, ended }: ReceiptPredicate['times'], votes: readonly string[]): Check => {
  const [firstVote] = votes.toSorted()
  const steps = Object.entries({ asked: requested, held, decided: firstVote, released, started, ended }).flatMap(([name, at]) => (at === undefined ? [] : [{ name, at: Date.parse(at) }]))
  const back = steps.findIndex(({ at }, index) => index > 0 && at < (steps[index - 1]?.at ?? 0) - clockGapMs)
  return back === -1 ? ok('order', `${steps.map(({ name }) => name).join(', ')}${steps.length > 1 ? ' in this order' : ''}`) : wrong('order', 'what came later has an earlier time')
}

const resultCheck = ({ decision: { result, rules, verdict }, approvers, case: { hold } }: ReceiptPredicate): Check => {
  const yes = approvers.filter((vote) => vote.verdict === 'approve' && !vote.dropped)
  if (result === 'approved' && yes.length === 0) return wrong('decision', 'it is called approved, and nobody has said yes')
  if (result === 'allowed' && (verdict !== 'allow' || hold !== undefined)) return wrong('decision', 'it is called allowed, and the rules held it')
  return ok('decision', `${result}${yes.length > 0 ? ` by ${yes.map(({ subject, channel, assurance }) => `${subject} (${channel}, ${assurance})`).join(', ')}` : ''}${rules.length > 0 ? `, rules ${rules.map(({ policy, rule }) => `${policy}/${rule}`).join(', ')}` : ''}`)
}

/** That something else happened than was let through is said, and is no fault of the receipt. */
const effectCheck = ({ effect: { permitted, observed, starts, agrees } }: ReceiptPredicate): Check => {
  if (agrees !== starts <= (permitted === 'once' ? 1 : 0)) return wrong('effect', 'it says of itself that decision and effect agree, and they do not')
  if (!agrees) return note('effect', `ATTENTION: it was started ${starts === 1 ? 'once' : `${starts} times`}, and ${permitted === 'once' ? 'one start' : 'no start'} was permitted`)
  if (observed === 'unknown') return note('effect', 'it was started, and nobody knows whether it had an effect')
  return ok('effect', `permitted ${permitted === 'once' ? 'once' : 'not at all'}; observed: ${observed}`)
}

/** Whether the records of the log that it names are these. */
export const checkRecords = ({ predicate: { log } }: Receipt, lines: readonly string[]): Check => {
  const here = new Map(lines.map((line) => [/^\{"v":1,"id":"([^"]+)"/.exec(line)?.[1], line]))
  for (const { record, leaf } of log) {
    const line = here.get(record)
    if (line !== undefined && leafHash(line) !== leaf) return wrong('records', `${record} is another record than the receipt was made from`)
  }
  const missing = log.filter(({ record }) => !here.has(record))
  return missing.length === 0 ? ok('records', `all ${log.length} records that it names are these`) : wrong('records', `${missing.length} of the ${log.length} records that it names are not here, ${missing[0]?.record} first`)
}
