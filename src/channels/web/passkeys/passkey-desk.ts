import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Sealing } from '../../../lib/sealing.ts'
import { canHavePasskeys, checkRegistration, PasskeyProblem, rpIdOf } from '../../../lib/webauthn.ts'
import { type AuditEvent, callerRecord, type PasskeyRecord } from '../../../model/audit-event.ts'
import { partyKey } from '../../../model/caller.ts'
import { Refusal } from '../../../model/refusal.ts'
import { readSessionForm } from '../login/session-form.ts'
import type { Session, Sessions } from '../login/sessions.ts'
import { personName } from '../pages/layout.ts'
import { passkeysPage } from '../pages/passkeys-page.ts'
import type { Html } from '../pages/html.ts'
import { readMade } from './browser-answers.ts'
import { type Ceremonies, ceremonyMs } from './ceremonies.ts'
import { perPerson, type Passkey, type PasskeyRegister } from './register.ts'

interface Parts {
  readonly register: PasskeyRegister
  readonly ceremonies: Ceremonies
  readonly sessions: Sessions
  readonly sealing: Sealing
  readonly url: string
  readonly deployment: string
  readonly stepUp: { readonly withinMs: number }
  readonly note: (event: Extract<AuditEvent, { type: 'passkey-added' | 'passkey-removed' }>) => void
  readonly now: () => number
}

const unchanged = 'nothing was changed'
const recordOf = ({ id, name, publicKey, synced }: Passkey): PasskeyRecord => ({ id, name, publicKey, synced })

/** Adding passkeys and removing them: one's own, and only a moment after a fresh login. */
export const makePasskeyDesk = ({ register, ceremonies, sessions, sealing, url, deployment, stepUp, note, now }: Parts) => {
  const raisedUntil = ({ raisedAt }: Session): number | undefined => (raisedAt !== undefined && raisedAt + stepUp.withinMs > now() ? raisedAt + stepUp.withinMs : undefined)

  const readForm = async (request: IncomingMessage): Promise<{ readonly session: Session; readonly form: ReadonlyMap<string, string> }> => {
    const read = await readSessionForm(sessions, request, unchanged)
    if (!canHavePasskeys(url)) throw new Refusal('not-found', 'There are no passkeys at an address like this one: it takes https and a name.')
    if (raisedUntil(read.session) === undefined) throw new Refusal('assurance-too-low', `Sign in again first: that was not done, or is too long ago. So ${unchanged}.`)
    return read
  }

  /** What a person calls it. */
  const nameIn = (form: ReadonlyMap<string, string>): string => {
    const name = (form.get('name') ?? '').trim()
    if (name === '' || name.length > 60 || !name.isWellFormed() || /[\p{Cc}\p{Cf}]/u.test(name)) throw new Refusal('malformed', `A passkey needs a name of at most 60 ordinary characters. So ${unchanged}.`)
    return name
  }

  /** The passkey that the browser has just made for this session. */
  const take = async (session: Session, form: ReadonlyMap<string, string>, name: string): Promise<Passkey> => {
    try {
      const made = readMade(form.get('credential'))
      const { challenge } = await ceremonies.end('add', session, form.get('ceremony') ?? '')
      const bytes = (text: string): Buffer => Buffer.from(text, 'base64url')
      const { id, counter, synced } = checkRegistration({ clientData: bytes(made.clientData), authenticatorData: bytes(made.authenticatorData), publicKey: bytes(made.publicKey) }, { origin: url, challenge: bytes(challenge) })
      return { id: Buffer.from(id).toString('base64url'), publicKey: made.publicKey, counter, name, synced, addedAt: now() }
    } catch (error) {
      throw error instanceof PasskeyProblem ? new Refusal('malformed', `The passkey was not accepted: ${error.message}. So ${unchanged}.`, { cause: error }) : error
    }
  }

  return {
    page: async (session: Session): Promise<Html> => passkeysPage({ passkeys: await register.of(session.viewer), csrf: session.csrf, raisedUntil: raisedUntil(session), possible: canHavePasskeys(url), now: now() }),

    /** What the browser is to make a passkey of. */
    async begin(request: IncomingMessage, response: ServerResponse): Promise<void> {
      const { session } = await readForm(request)
      const { viewer } = session
      const challenge = randomBytes(32).toString('base64url')
      const mine = await register.of(viewer)
      const create = { challenge, rp: { id: rpIdOf(url), name: `Countersign ${deployment}` }, user: { id: sealing.proof(`passkey user\n${partyKey(viewer)}`), name: viewer.email ?? viewer.subject, displayName: personName(viewer) }, excludeCredentials: mine.map(({ id }) => id), timeout: ceremonyMs }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ ceremony: ceremonies.begin('add', session, { challenge, until: now() + ceremonyMs }), create }))
    },

    async add(request: IncomingMessage, response: ServerResponse): Promise<void> {
      const { session, form } = await readForm(request)
      const name = nameIn(form)
      if (form.get('credential') === undefined) throw new Refusal('malformed', `A browser makes a passkey only with scripts. So ${unchanged}.`)
      const passkey = await take(session, form, name)
      const added = await register.add(session.viewer, passkey)
      if (added !== 'added') throw new Refusal('malformed', added === 'full' ? `You have ${perPerson} passkeys already. Remove one first. So ${unchanged}.` : `This passkey is somebody’s already. So ${unchanged}.`)
      note({ type: 'passkey-added', caller: callerRecord(session.viewer), passkey: recordOf(passkey) })
      response.writeHead(303, { location: '/passkeys' }).end()
    },

    async remove(request: IncomingMessage, response: ServerResponse): Promise<void> {
      const { session, form } = await readForm(request)
      const removed = await register.remove(session.viewer, form.get('passkey') ?? '')
      if (removed === undefined) throw new Refusal('not-found', `You have no such passkey. So ${unchanged}.`)
      note({ type: 'passkey-removed', caller: callerRecord(session.viewer), passkey: recordOf(removed) })
      response.writeHead(303, { location: '/passkeys' }).end()
    },
  }
}
