import assert from 'node:assert/strict'
import { hash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Session } from '../../../src/channels/web/login/sessions.ts'
import { makeCeremonies } from '../../../src/channels/web/passkeys/ceremonies.ts'
import { makePasskeyRegister, type Passkey } from '../../../src/channels/web/passkeys/register.ts'
import { makeSealing } from '../../../src/lib/sealing.ts'
import { PasskeyProblem } from '../../../src/lib/webauthn.ts'
import { openEmbeddedPasskeyStore } from '../../../src/stores/embedded/passkey-store.ts'
import { openEmbeddedSessionStore } from '../../../src/stores/embedded/session-store.ts'
import { person } from './hold-desk.ts'

const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'countersign-ceremonies-'))
  return { path: join(path, 'holds.db'), [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
const session = (subject: string): Session => ({ viewer: person(subject, 'dba'), csrf: 'c' })
const refused = (promise: Promise<unknown>, why: RegExp) => assert.rejects(promise, (error) => error instanceof PasskeyProblem && why.test(error.message))

test('what one replica began another one ends, and no third time', async () => {
  await using at = await folder()
  const keys = [randomBytes(32)]
  await using a = openEmbeddedSessionStore({ kind: 'embedded', path: at.path })
  await using b = openEmbeddedSessionStore({ kind: 'embedded', path: at.path })
  const [one, two] = [a, b].map((store) => makeCeremonies({ store, sealing: makeSealing(keys), now: () => 1_000 }))
  const begun = one!.begin('approve', session('bob'), { challenge: 'c1', statement: 's', until: 2_000 })
  await refused(two!.end('add', session('bob'), begun), /not begun here/)
  await refused(two!.end('approve', session('alice'), begun), /another session/)
  const answers = await Promise.allSettled([one!, two!, one!].map((each) => each.end('approve', session('bob'), begun)))
  assert.deepEqual(answers.filter(({ status }) => status === 'fulfilled').length, 1)
  await refused(two!.end('approve', session('bob'), one!.begin('approve', session('bob'), { challenge: 'c2', until: 1_000 })), /took too long/)
  const stranger = makeCeremonies({ store: a, sealing: makeSealing([randomBytes(32)]), now: () => 1_000 })
  await refused(two!.end('approve', session('bob'), stranger.begin('approve', session('bob'), { challenge: 'c3', until: 2_000 })), /not begun here/)
})

test('of two uses of one passkey at one moment with one counter, one counts', async () => {
  await using at = await folder()
  const sealing = makeSealing([randomBytes(32)])
  await using a = openEmbeddedPasskeyStore({ kind: 'embedded', path: at.path })
  await using b = openEmbeddedPasskeyStore({ kind: 'embedded', path: at.path })
  const [one, two] = [a, b].map((store) => makePasskeyRegister({ store, sealing, now: () => 5 }))
  const bob = person('bob')
  const passkey: Passkey = { id: 'cHM', publicKey: 'a2V5', counter: 3, name: 'x', synced: false, addedAt: 1 }
  assert.equal(await one!.add(bob, passkey), 'added')
  const uses = await Promise.allSettled([one!, two!, one!, two!].map((each) => each.use(bob, 'cHM', () => 4)))
  assert.equal(uses.filter(({ status }) => status === 'fulfilled').length, 1)
  await refused(two!.use(bob, 'cHM', () => 4), /counter did not go on/)
  await refused(two!.use(bob, 'cHM', () => 0), /counter did not go on/)
  assert.deepEqual((await two!.use(bob, 'cHM', () => 6)).counter, 6)
  await refused(two!.use(person('alice'), 'cHM', () => 9), /no such passkey/)
})

test('what stands in the store is believed only as it was written', async () => {
  await using at = await folder()
  await using store = openEmbeddedPasskeyStore({ kind: 'embedded', path: at.path })
  const register = makePasskeyRegister({ store, sealing: makeSealing([randomBytes(32)]), now: () => 5 })
  const [alice, bob] = [person('alice'), person('bob')]
  const passkey = (id: string): Passkey => ({ id, publicKey: 'a2V5', counter: 0, name: id, synced: false, addedAt: 1 })
  for (const [who, id] of [[alice, 'YQ'], [bob, 'Yg']] as const) await register.add(who, passkey(id))
  const entryOf = async (id: string) => (await store.find(hash('sha256', `passkey\n${id}`, 'base64url')))!
  const [hers, his] = [await entryOf('YQ'), await entryOf('Yg')]
  // Under his name stands hers, and the other way round; and one with another revision than it was sealed with.
  await store.replace({ ...his, revision: 2, sealed: hers.sealed })
  assert.deepEqual(await register.of(bob), [])
  await refused(register.use(bob, 'Yg', () => 0), /no such passkey/)
  await store.replace({ ...hers, revision: 2 })
  assert.deepEqual(await register.of(alice), [])
  assert.equal(await register.remove(alice, 'YQ'), undefined)
})
