import { randomBytes } from 'node:crypto'
import type { Ballot } from '../../../approval/approvals.ts'
import { channelsFor, fullAssurance, freshLoginFor } from '../../../approval/assurance.ts'
import { principalOf } from '../../../approval/ballots.ts'
import { holdSubject } from '../../../approval/desk.ts'
import { challengeOf, checkEvidence, reasonDigest, statementOf } from '../../../approval/spoken-yes.ts'
import { defined } from '../../../lib/defined.ts'
import { PasskeyProblem, rpIdOf } from '../../../lib/webauthn.ts'
import type { AuditEvent } from '../../../model/audit-event.ts'
import type { VoteChannel } from '../../../model/decision.ts'
import type { Hold } from '../../../model/hold.ts'
import { Refusal } from '../../../model/refusal.ts'
import type { Session } from '../login/sessions.ts'
import { readSigned } from './browser-answers.ts'
import { type Ceremonies, ceremonyMs } from './ceremonies.ts'
import type { PasskeyRegister } from './register.ts'

/** What stands between somebody who may approve and their yes. */
export type Lack = { readonly lacks: 'channel'; readonly takes: readonly VoteChannel[] } | { readonly lacks: 'login'; readonly withinMs: number } | { readonly lacks: 'passkey' } | { readonly lacks: 'signature' }

/** A yes, as it was on the page. */
export type Yes = Pick<Ballot, 'digest' | 'reason' | 'grant'> & { readonly shown: string }

export interface Signing {
  /** `undefined`: nothing; the yes of a session is enough for everything that asks this person. */
  lack(hold: Hold, session: Session): Promise<Lack | undefined>
  /** What the browser is to ask a passkey, for this yes. */
  begin(hold: Hold, session: Session, yes: Yes): Promise<object>
  /** How sure we are of this yes, and by what. Throws `assurance-too-low` where something is lacking. */
  proof(hold: Hold, session: Session, yes: Yes, answer: { readonly ceremony?: string | undefined; readonly credential?: string | undefined }): Promise<Pick<Ballot, 'assurance' | 'evidence' | 'loggedInAt'>>
}

interface Parts {
  readonly register: PasskeyRegister
  readonly ceremonies: Ceremonies
  /** The origin of the console. */
  readonly url: string
  readonly deployment: string
  readonly note: (event: Extract<AuditEvent, { type: 'vote-refused' }>) => void
  readonly now: () => number
}

export const makeSigning = ({ register, ceremonies, url, deployment, note, now }: Parts): Signing => {
  const lack: Signing['lack'] = async (hold, { viewer, raisedAt }) => {
    const takes = channelsFor(hold.terms, viewer)
    if (!takes.includes('console')) return { lacks: 'channel', takes }
    const withinMs = freshLoginFor(hold.terms, viewer)
    if (withinMs !== undefined && !(raisedAt !== undefined && now() - raisedAt <= withinMs)) return { lacks: 'login', withinMs }
    if (fullAssurance(hold.terms, viewer) !== 'passkey') return undefined
    return (await register.of(viewer)).length === 0 ? { lacks: 'passkey' } : { lacks: 'signature' }
  }

  const evidenceFor = async (hold: Hold, session: Session, yes: Yes, { ceremony = '', credential }: { readonly ceremony?: string | undefined; readonly credential?: string | undefined }): Promise<NonNullable<Ballot['evidence']>> => {
    const signed = readSigned(credential)
    const { statement = '' } = await ceremonies.end('approve', session, ceremony)
    const { publicKey } = await register.use(session.viewer, signed.passkey, (passkey) => checkEvidence({ ...signed, statement, publicKey: passkey.publicKey }, hold.id, { verdict: 'approve', by: session.viewer, ...yes }).counter)
    return { statement, ...signed, publicKey }
  }

  return {
    lack,
    async begin(hold, session, yes) {
      const until = now() + ceremonyMs
      const { issuer, subject } = session.viewer
      const statement = statementOf({ console: url, deployment, hold: hold.id, action: yes.digest, verdict: 'approve', shown: yes.shown, voter: { issuer, subject }, nonce: randomBytes(16).toString('base64url'), until, ...defined({ reason: reasonDigest(yes.reason), grant: yes.grant }) })
      const challenge = challengeOf(statement).toString('base64url')
      const mine = await register.of(session.viewer)
      return { ceremony: ceremonies.begin('approve', session, { challenge, statement, until }), get: { challenge, rpId: rpIdOf(url), allowCredentials: mine.map(({ id }) => id), timeout: ceremonyMs } }
    },
    async proof(hold, session, yes, answer) {
      const { raisedAt: loggedInAt } = session
      const lacking = await lack(hold, session)
      if (lacking === undefined) return { assurance: 'console', ...defined({ loggedInAt }) }
      if (lacking.lacks === 'channel') return { assurance: 'console' } // refused as a vote, and on record as one
      if (lacking.lacks === 'login') throw new Refusal('assurance-too-low', 'The rule asks that you sign in again before you approve. Nothing was decided.')
      if (lacking.lacks === 'passkey') throw new Refusal('assurance-too-low', 'The rule asks for a passkey, and you have none here. Nothing was decided.')
      if (answer.credential === undefined) throw new Refusal('assurance-too-low', 'The rule asks for a passkey, and a browser uses one only with scripts. Nothing was decided. Denying needs neither.')
      try {
        return { assurance: 'passkey', evidence: await evidenceFor(hold, session, yes, answer), ...defined({ loggedInAt }) }
      } catch (error) {
        if (!(error instanceof PasskeyProblem)) throw error
        note({ type: 'vote-refused', ...holdSubject(hold), by: principalOf(session.viewer), refusal: 'assurance-too-low', cause: error.message })
        throw new Refusal('assurance-too-low', `Your passkey was not accepted: ${error.message}. Nothing was decided.`, { cause: error })
      }
    },
  }
}
