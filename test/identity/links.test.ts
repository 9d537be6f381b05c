import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import type { LinkEntry, LinkStore } from '../../src/identity/link-store.ts'
import { makeLinks, type ChatAccount, type Links } from '../../src/identity/links.ts'
import { makeSealing } from '../../src/lib/sealing.ts'
import type { Caller } from '../../src/model/caller.ts'
import { openEmbeddedLinkStore } from '../../src/stores/embedded/link-store.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const hour = 3_600_000
const folder = temporaryFolder('known')
const store = openEmbeddedLinkStore({ kind: 'embedded', path: `${folder.path}/holds.db` })
after(async () => {
  await store[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

const key = randomBytes(32)
let at = Date.now()
let standing: string | undefined = 'one'
const over = (kept: LinkStore, keys: readonly Uint8Array[] = [key]): Links => makeLinks({ store: kept, sealing: makeSealing(keys), identity: { standing: () => standing }, now: () => at })
const links = over(store)

let users = 0
const account = (change: Partial<ChatAccount> = {}): ChatAccount => ({ chat: 'slack', workspace: 'T1', user: `U${users++}`, ...change })
const person = (change: Partial<Caller> = {}): Caller => ({ issuer: 'https://idp.test', subject: `person-${users++}`, kind: 'human', groups: ['dba'], name: 'Alice', onBehalfOf: [], claims: {}, session: 's', authenticatedAt: 1, expiresAt: 2, address: '', ...change })
const party = ({ issuer, subject }: Caller) => ({ issuer, subject })

test('an account belongs to one person, in its own chat and workspace only', async () => {
  const [alice, bob, one] = [person(), person(), account()]
  assert.equal(await links.link(one, alice, hour), 'linked')
  assert.deepEqual(await links.whose(one), party(alice))
  assert.deepEqual(await links.accountOf(alice, one), one)
  for (const other of [{ ...one, workspace: 'T2' }, { ...one, chat: 'teams' as const }, { ...one, user: one.user.toLowerCase() }]) assert.equal(await links.whose(other), undefined)
  assert.equal(await links.link(one, bob, hour), 'taken')
  assert.equal(await links.link(account(), alice, hour), 'taken')
  assert.equal(await links.link({ ...one, workspace: 'T2' }, alice, hour), 'linked')
  assert.equal(await links.unlink(one, bob), false)
  assert.equal(await links.unlink(one, alice), true)
  assert.equal(await links.whose(one), undefined)
})

test('names that run together are not the same', async () => {
  const alice = person()
  await links.link(account({ workspace: 'T', user: '1U9' }), alice, hour)
  assert.equal(await links.whose(account({ workspace: 'T1', user: 'U9' })), undefined)
})

test('what the store says without our seal, or about another, is not believed', async () => {
  const [alice, mallory] = [person(), person()]
  const [hers, his] = [account(), account()]
  await links.link(hers, alice, hour)
  await links.link(his, mallory, hour)
  const entryOf = async (one: ChatAccount): Promise<LinkEntry> => {
    let found: LinkEntry | undefined
    await over({ ...store, byAccount: async (name) => (found = await store.byAccount(name)) }).whose(one)
    return found!
  }
  const [a, m] = [await entryOf(hers), await entryOf(his)]
  const lying = (entry: LinkEntry): Links => over({ ...store, byAccount: async () => entry })
  assert.deepEqual(await lying(a).whose(hers), party(alice))
  for (const lie of [{ ...m, sealed: a.sealed }, { ...a, account: m.account }, { ...a, sealed: 'x' }, { ...a, sealed: '' }]) assert.equal(await lying(lie).whose(his), undefined)
  assert.equal(await over(store, [randomBytes(32)]).whose(hers), undefined)
  assert.deepEqual(await over(store, [randomBytes(32), key]).whose(hers), party(alice))
})

test('an entry of another account says nothing about this one', async () => {
  const [alice, hers] = [person(), account()]
  await links.link(hers, alice, hour)
  let found: LinkEntry | undefined
  await over({ ...store, byAccount: async (name) => (found = await store.byAccount(name)) }).whose(hers)
  assert.equal(await over({ ...store, byAccount: async () => found }).whose(account()), undefined)
})

test('people are known as they came last, and not for ever', async () => {
  const alice = person({ groups: ['dba', 'ops'] })
  assert.equal(await links.known(alice, hour), undefined)
  await links.see(alice)
  const known = await links.known(alice, hour)
  assert.deepEqual({ ...known, session: '', expiresAt: 0 }, { ...alice, session: '', expiresAt: 0 })
  await links.see({ ...alice, groups: ['ops'] })
  assert.deepEqual((await links.known(alice, hour))?.groups, ['ops'])
  at += hour
  assert.equal(await links.known(alice, hour), undefined)
  assert.deepEqual((await links.known(alice, 2 * hour))?.groups, ['ops'])
  await links.see({ ...alice, groups: ['ops'] })
  assert.deepEqual((await links.known(alice, hour))?.groups, ['ops'])
})

test('whose logins are over, and whose standing has changed, is not known', async () => {
  const [alice, bob] = [person(), person()]
  await links.see(alice)
  await links.see(bob)
  await links.forget(alice)
  assert.equal(await links.known(alice, hour), undefined)
  await links.see(alice)
  assert.notEqual(await links.known(alice, hour), undefined)
  standing = 'two'
  assert.equal(await links.known(bob, hour), undefined)
  standing = 'one'
})

test('who comes by delegation, is no person, or whose groups nobody knows, is not remembered', async () => {
  for (const change of [{ kind: 'agent' as const }, { onBehalfOf: [person()] }, { groups: undefined }]) {
    const who = person(change)
    await links.see(who)
    assert.equal(await links.known(who, hour), undefined)
  }
})

test('one person’s record is not another’s', async () => {
  const [alice, bob] = [person(), person()]
  await links.see(alice)
  let sealed: string | undefined
  await over({ ...store, known: async (name) => (sealed = await store.known(name)) }).known(alice, hour)
  const lying = over({ ...store, known: async () => sealed })
  assert.notEqual(await lying.known(alice, hour), undefined)
  assert.equal(await lying.known(bob, hour), undefined)
})

test('the same news is not written again and again', async () => {
  const alice = person()
  let written = 0
  const counting = over({ ...store, know: async (...args) => (written++, await store.know(...args)) })
  for (let n = 0; n < 5; n++) await counting.see(alice)
  assert.equal(written, 1)
  await counting.see({ ...alice, groups: [] })
  assert.equal(written, 2)
  at += hour
  await counting.see({ ...alice, groups: [] })
  assert.equal(written, 3)
})
