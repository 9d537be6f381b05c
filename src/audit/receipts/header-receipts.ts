import { defined } from '../../lib/defined.ts'
import type { Action } from '../../model/action.ts'
import type { Approval } from '../../model/approval.ts'
import type { Decision } from '../../model/decision.ts'
import type { Hold } from '../../model/hold.ts'
import type { ReceiptSigner } from './envelope.ts'
import { signShortReceipt, type ShortReceipt } from './short-receipt.ts'

/** Which actions carry one: those that people let through, or all that run. */
export type ReceiptHeaders = 'none' | 'held' | 'all'

/** A short receipt for an action that is about to run; `undefined` where none is wanted. */
export type HeaderReceipts = (about: { readonly attempt: string; readonly action: Action; readonly decision: Decision; readonly approval: Approval | undefined }) => Promise<string> | undefined

const saidYes = ({ votes }: Hold): number => new Set(votes.filter(({ verdict }) => verdict === 'approve').map(({ by }) => `${by.issuer}\n${by.subject}`)).size

const how = (approval: Approval | undefined): ShortReceipt['decision'] => (approval === undefined ? 'allowed' : approval.grant !== undefined ? 'granted' : approval.hold.votes.some(({ brokeGlass }) => brokeGlass) ? 'released-alone' : 'approved')

export const makeHeaderReceipts = (deployment: string, signer: ReceiptSigner, which: () => ReceiptHeaders, now: () => number): HeaderReceipts => ({ attempt, action, decision, approval }) => {
  if (which() === 'none' || (approval === undefined && which() === 'held')) return undefined
  const { verdict, matched, policyVersion } = decision
  const rule = (matched.find(({ then, observed }) => then === verdict && !observed) ?? approval?.hold.matched.find(({ observed }) => !observed))
  return signShortReceipt({ iss: deployment, sub: action.digest, iat: Math.floor(now() / 1_000), decision: how(approval), policy: policyVersion, approvers: approval === undefined ? 0 : saidYes(approval.hold), attempt, ...defined({ rule: rule && `${rule.policy}/${rule.rule}`, case: approval?.hold.code }) }, signer)
}
