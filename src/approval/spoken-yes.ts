import { hash } from 'node:crypto'
import { canonicalJson } from '../lib/canonical-json.ts'
import { parseStrictJson } from '../lib/strict-json.ts'
import { checkAssertion, PasskeyProblem } from '../lib/webauthn.ts'
import type { Digest } from '../model/action.ts'
import { sameParty, type Party } from '../model/caller.ts'
import type { GrantBounds } from '../model/decision.ts'
import type { PasskeyEvidence, Vote } from '../model/hold.ts'

/* What somebody says yes to, as one text. A passkey signs its SHA-256: nobody can move the signature to anything else. */

const domain = 'countersign approval v1'

export interface SpokenYes {
  /** The origin of the console. */
  readonly console: string
  readonly deployment: string
  readonly hold: string
  readonly action: Digest
  readonly verdict: 'approve'
  /** SHA-256 of the reason that was given with it. */
  readonly reason?: Digest
  /** The leave for more of its kind that was given with it. */
  readonly grant?: GrantBounds
  /** What was on the screen, as in the vote. */
  readonly shown?: string
  readonly voter: Party
  /** So that nobody can have it signed before we ask. */
  readonly nonce: string
  /** Until when the signature is taken, by the clock of the console. */
  readonly until: number
}

export const reasonDigest = (reason: string | undefined): Digest | undefined => (reason === undefined ? undefined : `sha256:${hash('sha256', reason)}`)

export const statementOf = (yes: SpokenYes): string => canonicalJson({ type: domain, ...yes })

export const challengeOf = (statement: string): Buffer => hash('sha256', `${domain}\n${statement}`, 'buffer')

/** Of a text that `statementOf` wrote; throws `PasskeyProblem` for any other. */
export const readStatement = (statement: string): SpokenYes => {
  const wrong = (): PasskeyProblem => new PasskeyProblem('the statement is none of an approval')
  let value: Record<string, unknown>
  try {
    value = parseStrictJson(Buffer.from(statement), 4) as Record<string, unknown>
  } catch {
    throw wrong()
  }
  const { type, ...yes } = value ?? {}
  const { voter, reason = '', shown = '', grant = {} } = yes as { readonly voter?: Partial<Party>; readonly reason?: unknown; readonly shown?: unknown; readonly grant?: unknown }
  const texts = [yes['console'], yes['deployment'], yes['hold'], yes['action'], yes['nonce'], voter?.issuer, voter?.subject, reason, shown]
  if (type !== domain || yes['verdict'] !== 'approve' || typeof yes['until'] !== 'number' || typeof grant !== 'object' || grant === null || texts.some((text) => typeof text !== 'string') || !URL.canParse(String(yes['console'])) || canonicalJson(value) !== statement) throw wrong()
  return yes as unknown as SpokenYes
}

type Voted = Pick<Vote, 'verdict' | 'digest' | 'reason' | 'grant' | 'shown'> & { readonly by: Party }

/** In what the vote on this hold is not the yes that was signed. */
export const differingFrom = (yes: SpokenYes, hold: string, { verdict, by, digest, reason, grant, shown }: Voted): readonly string[] =>
  [
    yes.hold === hold ? '' : 'hold', yes.action === digest ? '' : 'action', yes.verdict === verdict ? '' : 'verdict', yes.reason === reasonDigest(reason) ? '' : 'reason',
    canonicalJson(yes.grant ?? {}) === canonicalJson(grant ?? {}) ? '' : 'grant', yes.shown === shown ? '' : 'shown', sameParty(yes.voter, by) ? '' : 'voter',
  ].filter((member) => member !== '')

/**
 * Whether this vote on this hold is what was signed, by nothing but what is in it. Throws `PasskeyProblem`.
 * Whose the passkey is, and whether its counter goes on, only its register knows.
 */
export const checkEvidence = (evidence: PasskeyEvidence, hold: string, vote: Voted): { readonly yes: SpokenYes; readonly counter: number } => {
  const yes = readStatement(evidence.statement)
  const differing = differingFrom(yes, hold, vote)
  if (differing.length > 0) throw new PasskeyProblem(`another ${differing.join(', ')} was signed than is in the vote`)
  return { yes, counter: checkSigned(evidence, yes) }
}

/** That the statement was signed with the key that stands beside it, on a page of the console that it names. Throws `PasskeyProblem`; answers with the counter. */
export const checkSigned = ({ statement, publicKey, clientData, authenticatorData, signature }: PasskeyEvidence, { console }: SpokenYes): number => {
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64url')
  return checkAssertion({ clientData: bytes(clientData), authenticatorData: bytes(authenticatorData), signature: bytes(signature) }, bytes(publicKey), { origin: console, challenge: challengeOf(statement) }).counter
}
