import { hash } from 'node:crypto'
import { z } from 'zod'
import type { PasskeyEntry, PasskeyStore } from '../../../identity/passkey-store.ts'
import type { Sealing } from '../../../lib/sealing.ts'
import { PasskeyProblem } from '../../../lib/webauthn.ts'
import { sameParty, type Party } from '../../../model/caller.ts'

const shape = z.object({
  /** As authenticators name it; base64url. */
  id: z.string(),
  issuer: z.string(),
  subject: z.string(),
  /** DER SPKI, base64url. */
  publicKey: z.string(),
  counter: z.number(),
  /** As its owner calls it. */
  name: z.string(),
  synced: z.boolean(),
  addedAt: z.number(),
  usedAt: z.number().optional(),
  revision: z.number(),
})

export type Passkey = Omit<z.infer<typeof shape>, 'issuer' | 'subject' | 'revision'>

/** Whose passkeys are whose. */
export interface PasskeyRegister {
  /** The oldest first. */
  of(person: Party): Promise<readonly Passkey[]>
  /** `known`: somebody has it already. `full`: this person has as many as anybody may have. */
  add(person: Party, passkey: Passkey): Promise<'added' | 'known' | 'full'>
  /** Resolves with what was removed. */
  remove(person: Party, id: string): Promise<Passkey | undefined>
  /**
   * One use: `check` looks at what was signed and answers with the counter that came with it, or throws. Rejects with `PasskeyProblem`, also if it is
   * not this person's, or if the counter does not go on: then the passkey may have been copied.
   */
  use(person: Party, id: string, check: (passkey: Passkey) => number): Promise<Passkey>
}

/** Passkeys of one account. */
export const perPerson = 20
const mostTries = 5

export const makePasskeyRegister = ({ store, sealing, now }: { readonly store: PasskeyStore; readonly sealing: Sealing; readonly now: () => number }): PasskeyRegister => {
  const named = (text: string): string => hash('sha256', text, 'base64url')
  const nameOf = (id: string): string => named(`passkey\n${id}`)
  const ownerOf = ({ issuer, subject }: Party): string => named(`passkeys\n${issuer}\n${subject}`)
  const about = (name: string): string => `passkey\n${name}`

  const sealed = ({ issuer, subject }: Party, passkey: Passkey, revision: number): PasskeyEntry => {
    const name = nameOf(passkey.id)
    const kept: z.infer<typeof shape> = { ...passkey, issuer, subject, revision }
    return { name, owner: ownerOf({ issuer, subject }), revision, sealed: sealing.seal(JSON.stringify(kept), about(name)) }
  }

  /** Only what we wrote about this person's passkey of this name, at this revision. */
  const opened = (entry: PasskeyEntry | undefined, person: Party): Passkey | undefined => {
    const text = entry && sealing.open(entry.sealed, about(entry.name))
    const read = text === undefined ? undefined : shape.safeParse(JSON.parse(text))
    if (!read?.success || entry === undefined) return undefined
    const { issuer, subject, revision, ...passkey } = read.data
    return sameParty({ issuer, subject }, person) && revision === entry.revision && nameOf(passkey.id) === entry.name ? passkey : undefined
  }

  return {
    of: async (person) => (await store.list(ownerOf(person))).flatMap((entry) => opened(entry, person) ?? []).toSorted((a, b) => a.addedAt - b.addedAt),
    add: (person, passkey) => store.add(sealed(person, passkey, 1), perPerson),
    async remove(person, id) {
      const entry = await store.find(nameOf(id))
      const passkey = opened(entry, person)
      return entry !== undefined && passkey !== undefined && (await store.remove(entry.name, entry.owner)) ? passkey : undefined
    },
    async use(person, id, check) {
      for (let tries = 0; tries < mostTries; tries++) {
        const entry = await store.find(nameOf(id))
        const passkey = opened(entry, person)
        if (entry === undefined || passkey === undefined) throw new PasskeyProblem('you have no such passkey here')
        const counter = check(passkey)
        if ((counter !== 0 || passkey.counter !== 0) && counter <= passkey.counter) throw new PasskeyProblem('its counter did not go on, so there may be a copy of it; remove it and add another one')
        const used = { ...passkey, counter, usedAt: now() }
        if ((await store.replace(sealed(person, used, entry.revision + 1))) === 'replaced') return used
      }
      throw new PasskeyProblem('it is being used in too many places at once')
    },
  }
}
