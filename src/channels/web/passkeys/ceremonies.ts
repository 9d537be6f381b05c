import { z } from 'zod'
import type { SessionStore } from '../../../identity/session-store.ts'
import type { Sealing } from '../../../lib/sealing.ts'
import { parseStrictJson } from '../../../lib/strict-json.ts'
import { PasskeyProblem } from '../../../lib/webauthn.ts'
import type { Session } from '../login/sessions.ts'

/** How long somebody may take to reach for their passkey. */
export const ceremonyMs = 3 * 60_000

const shape = z.strictObject({ session: z.string(), issuer: z.string(), subject: z.string(), until: z.number(), challenge: z.string(), statement: z.string().optional() })

/** What was begun: the page keeps it, sealed, and brings it back with the answer of the passkey. */
export interface Ceremony {
  /** Base64url; never the same again. */
  readonly challenge: string
  /** What the challenge is the hash of, where it stands for something. */
  readonly statement?: string | undefined
}

/** What a passkey is asked to sign: for one session, for a short time, once. */
export interface Ceremonies {
  begin(kind: 'add' | 'approve', session: Session, ceremony: Ceremony & { readonly until: number }): string
  /** Rejects with `PasskeyProblem` for what was not begun here, for this session, a moment ago; and for what has ended already. */
  end(kind: 'add' | 'approve', session: Session, sealed: string): Promise<Ceremony>
}

export const makeCeremonies = ({ store, sealing, now }: { readonly store: Pick<SessionStore, 'first'>; readonly sealing: Sealing; readonly now: () => number }): Ceremonies => {
  const about = (kind: string): string => `passkey ceremony\n${kind}`
  return {
    begin: (kind, { viewer }, { challenge, statement, until }) => {
      const begun: z.infer<typeof shape> = { session: viewer.session, issuer: viewer.issuer, subject: viewer.subject, until, challenge, statement }
      return sealing.seal(JSON.stringify(begun), about(kind))
    },
    async end(kind, { viewer }, sealed) {
      const text = sealing.open(sealed, about(kind))
      const read = text === undefined ? undefined : shape.safeParse(parseStrictJson(Buffer.from(text)))
      if (!read?.success) throw new PasskeyProblem('this was not begun here')
      const { session, issuer, subject, until, challenge, statement } = read.data
      if (session !== viewer.session || issuer !== viewer.issuer || subject !== viewer.subject) throw new PasskeyProblem('this was begun in another session')
      if (until <= now()) throw new PasskeyProblem('it took too long')
      if (!(await store.first(`passkey ceremony\n${challenge}`, 2 * ceremonyMs))) throw new PasskeyProblem('this was sent before')
      return { challenge, statement }
    },
  }
}
