import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { checkEvidence } from '../../../src/approval/spoken-yes.ts'
import { readVotes, verifyVote } from '../../../src/cli/signed-votes.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { requirement, sqlAction, startConsole, terms } from '../../browser/world.ts'
import { softPasskey, type How, type SoftPasskey } from '../../support/authenticator.ts'
import { makeBrowser } from '../../support/idp.ts'
import { fieldIn } from './console-desk.ts'

type Console = Awaited<ReturnType<typeof startConsole>>

interface Begun {
  readonly ceremony: string
  readonly create?: { readonly challenge: string; readonly rp: { readonly id: string }; readonly user: { readonly id: string; readonly name: string }; readonly excludeCredentials: readonly string[] }
  readonly get?: { readonly challenge: string; readonly rpId: string; readonly allowCredentials: readonly string[] }
}

const base64url = (members: Readonly<Record<string, Uint8Array>>): string => JSON.stringify(Object.fromEntries(Object.entries(members).map(([name, value]) => [name, Buffer.from(value).toString('base64url')])))
const alertIn = (text: string): string => /<div class="alert" role="alert"><h2>([^<]*)<\/h2><p>([^<]*)/.exec(text)?.slice(1).join(' | ') ?? /<section class="notice"><h1>[^<]*<\/h1><p>([^<]*)/.exec(text)?.[1] ?? ''
const shortly = async (work: () => Promise<Response>) => {
  const response = await work()
  return { status: response.status, location: response.headers.get('location'), text: await response.text() }
}

/** A person whose browser does by hand what the page's script does. */
const person = async (at: Console, user: string) => {
  const browser = makeBrowser()
  const away = (url: string) => url.startsWith(at.url) && !url.includes('/oauth2/')
  await browser.logIn(`${at.url}/oauth2/start`, user, away)
  const get = (path: string) => shortly(() => browser.visit(`${at.url}${path}`))
  const post = (path: string, form: Record<string, string>) => shortly(() => browser.visit(`${at.url}${path}`, form, { origin: at.url }))
  const csrf = async () => fieldIn((await get('/passkeys')).text, 'csrf')
  const begin = async (): Promise<Begun> => {
    const { status, text } = await post('/passkeys/begin', { csrf: await csrf(), name: 'x' })
    assert.equal(status, 200, text)
    return JSON.parse(text) as Begun
  }
  const raise = async () => assert.equal((await browser.logIn(`${at.url}/oauth2/step-up?rd=%2Fpasskeys`, user, (url) => url === `${at.url}/passkeys`)).url, `${at.url}/passkeys`)
  const add = async (passkey: SoftPasskey, how: Partial<How> = {}, begun?: Begun) => {
    const { ceremony, create } = begun ?? (await begin())
    return post('/passkeys', { csrf: await csrf(), name: 'my laptop', ceremony, credential: base64url({ ...passkey.create({ origin: at.url, challenge: Buffer.from(create?.challenge ?? '', 'base64url'), ...how }) }) })
  }
  const yes = async (hold: Hold, reason = 'Agreed.') => {
    const { text } = await get(`/holds/${hold.id}`)
    return { ...Object.fromEntries(['csrf', 'digest', 'revision', 'shown'].map((name) => [name, fieldIn(text, name)])), verdict: 'approve', reason }
  }
  const challenge = async (hold: Hold, form: Record<string, string>) => post(`/holds/${hold.id}/challenge`, form)
  const sign = (passkey: SoftPasskey, { get: asked }: Begun, how: Partial<How> = {}): string => {
    passkey.counter++
    return base64url({ passkey: passkey.id, ...passkey.get({ origin: at.url, challenge: Buffer.from(asked?.challenge ?? '', 'base64url'), ...how }) })
  }
  /** The whole of it, as the script does. */
  const approve = async (hold: Hold, passkey: SoftPasskey, change: { readonly how?: Partial<How>; readonly form?: Record<string, string> } = {}) => {
    const form = await yes(hold)
    const asked = await challenge(hold, form)
    if (asked.status !== 200) return asked
    const begun = JSON.parse(asked.text) as Begun
    return post(`/holds/${hold.id}/vote`, { ...form, ceremony: begun.ceremony, credential: sign(passkey, begun, change.how), ...change.form })
  }
  /** Somebody with a passkey. */
  const equipped = async () => {
    const passkey = softPasskey()
    await raise()
    assert.equal((await add(passkey)).status, 303)
    return passkey
  }
  return { get, post, csrf, begin, raise, add, yes, challenge, sign, approve, equipped }
}

const signed = terms([requirement({ assurance: 'passkey' })], { withinMs: 600_000 })
let count = 0
const ask = (at: Console, needs = signed) => at.ask(sqlAction(`delete from orders where id = ${++count}`), { needs })

describe('passkeys of one’s own', () => {
  test('are added after a fresh login, listed, and removed, each on record', async () => {
    await using at = await startConsole({}, 'localhost')
    const bob = await person(at, 'bob')
    assert.match((await bob.get('/passkeys')).text, /Sign in again/)
    for (const path of ['/passkeys', '/passkeys/begin', '/passkeys/remove']) assert.equal((await bob.post(path, { csrf: await bob.csrf(), name: 'x' })).status, 403, path)
    await bob.raise()
    const passkey = softPasskey()
    const begun = await bob.begin()
    assert.deepEqual([begun.create?.rp.id, begun.create?.user.name, begun.create?.excludeCredentials], ['localhost', 'bob@example.org', []])
    assert.equal((await bob.add(passkey, {}, begun)).location, '/passkeys')
    const { text } = await bob.get('/passkeys')
    assert.match(text, /<h2>my laptop<\/h2>[^]*not used yet; stays on its device/)
    const id = passkey.id.toString('base64url')
    assert.deepEqual((await bob.begin()).create?.excludeCredentials, [id])
    assert.equal((await bob.post('/passkeys/remove', { csrf: await bob.csrf(), passkey: id })).status, 303)
    assert.equal((await bob.post('/passkeys/remove', { csrf: await bob.csrf(), passkey: id })).status, 404)
    assert.match((await bob.get('/passkeys')).text, /You have none here/)
    assert.deepEqual(at.notes.flatMap((event) => (event.type === 'passkey-added' || event.type === 'passkey-removed' ? [[event.type, event.caller.subject, event.passkey.id, event.passkey.name, event.passkey.publicKey]] : [])), ['passkey-added', 'passkey-removed'].map((type) => [type, 'bob', id, 'my laptop', passkey.publicKey.toString('base64url')]))
  })

  test('are taken only as they were asked for', async () => {
    await using at = await startConsole({}, 'localhost')
    const [bob, alice] = [await person(at, 'bob'), await person(at, 'alice')]
    await bob.raise()
    await alice.raise()
    const refused = async (answer: Awaited<ReturnType<typeof bob.add>>, why: RegExp, status = 400) => {
      assert.equal(answer.status, status, String(why))
      assert.match(alertIn(answer.text), why)
    }
    await refused(await bob.add(softPasskey(), { challenge: randomBytes(32) }), /another challenge/)
    await refused(await bob.add(softPasskey(), { client: { origin: 'http://evil.test' } }), /another origin/)
    await refused(await bob.add(softPasskey(), { rpId: 'evil.test' }), /another site/)
    await refused(await bob.add(softPasskey(), { flags: 0x41 }), /did not check who was there/)
    await refused(await bob.add(softPasskey(), {}, await alice.begin()), /begun in another session/)
    const begun = await bob.begin()
    const passkey = softPasskey()
    assert.equal((await bob.add(passkey, {}, begun)).status, 303)
    await refused(await bob.add(softPasskey(), {}, begun), /was sent before/)
    await refused(await alice.add(passkey), /somebody’s already/)
    const late = await bob.begin()
    at.world.skewMs += 200_000
    await refused(await bob.add(softPasskey(), {}, late), /took too long/)
    const form = { csrf: await bob.csrf(), name: 'x' }
    await refused(await bob.post('/passkeys', { ...form, ceremony: 'x', credential: '{}' }), /no answer of a passkey/)
    await refused(await bob.post('/passkeys', form), /only with scripts/)
    for (const name of ['', ' ', 'x'.repeat(61), 'a\u202eb']) await refused(await bob.post('/passkeys', { ...form, name, credential: '{}' }), /needs a name/)
    at.world.skewMs += 200_000
    await refused(await bob.post('/passkeys/remove', { csrf: await bob.csrf(), passkey: passkey.id.toString('base64url') }), /Sign in again first/, 403)
    assert.match((await bob.get('/passkeys')).text, /my laptop/)
    assert.match((await alice.get('/passkeys')).text, /You have none here/)
  })

  test('nobody removes or uses those of others', async () => {
    await using at = await startConsole({}, 'localhost')
    const [bob, alice] = [await person(at, 'bob'), await person(at, 'alice')]
    const passkey = await bob.equipped()
    await alice.equipped()
    assert.equal((await alice.post('/passkeys/remove', { csrf: await alice.csrf(), passkey: passkey.id.toString('base64url') })).status, 404)
    const hold = await ask(at, terms([requirement({ assurance: 'passkey', groups: ['dba'] })], { withinMs: 600_000 }))
    const carol = await person(at, 'carol')
    assert.equal((await carol.get(`/holds/${hold.id}`)).status, 404)
    const one = await at.ask(sqlAction('delete from x'), { needs: signed, as: at.party('erin') })
    assert.match(alertIn((await alice.approve(one, passkey)).text), /you have no such passkey here/)
    assert.equal((await at.hold(one.id)).votes.length, 0)
  })
})

describe('a yes that is signed', () => {
  test('counts, and can be checked by whoever has the vote', async () => {
    await using at = await startConsole({}, 'localhost')
    const bob = await person(at, 'bob')
    const passkey = await bob.equipped()
    const hold = await ask(at)
    assert.match((await bob.get(`/holds/${hold.id}`)).text, /<noscript>[^]*data-passkey="\/holds\/[^"]*\/challenge">Approve with a passkey/)
    const answer = await bob.approve(hold, passkey)
    assert.deepEqual([answer.status, answer.location], [303, `/holds/${hold.id}`], alertIn(answer.text))
    const after = await at.hold(hold.id)
    const [vote] = after.votes
    assert.ok(vote?.evidence)
    assert.deepEqual([after.state, vote.assurance, vote.reason], ['approved', 'passkey', 'Agreed.'])
    const { yes, counter } = checkEvidence(vote.evidence, hold.id, vote)
    assert.deepEqual([yes.console, yes.deployment, yes.voter.subject, counter], [at.url, 'production', 'bob', 2])
    const shown = await fetch(`${at.url}/api/holds/${hold.id}`, { headers: { authorization: `Bearer ${await at.idp.userToken('bob')}` } })
    const { votes: [given] } = readVotes(await shown.text())
    assert.deepEqual([given?.by.subject, given?.vote.evidence && verifyVote(given, given.vote.evidence, []).reason], ['bob', 'signed'])
    const voted = at.world.events.find(({ type }) => type === 'voted')
    assert.deepEqual(voted?.type === 'voted' && voted.vote.evidence, vote.evidence)
    assert.match((await bob.get('/passkeys')).text, /last used/)
  })

  test('is refused, with the reason, for whatever is not as it must be; and nothing is counted', async () => {
    await using at = await startConsole({}, 'localhost')
    const bob = await person(at, 'bob')
    const passkey = await bob.equipped()
    const hold = await ask(at)
    const refused = async (answer: { readonly status: number; readonly text: string }, why: RegExp, status = 403) => {
      assert.match(alertIn(answer.text), why)
      assert.equal(answer.status, status)
      assert.equal((await at.hold(hold.id)).votes.length, 0)
    }
    await refused(await bob.post(`/holds/${hold.id}/vote`, await bob.yes(hold)), /It takes more to approve this \| The rule asks for a passkey, and a browser uses one only with scripts/)
    await refused(await bob.approve(hold, passkey, { how: { flags: 0x01 } }), /did not check who was there/)
    await refused(await bob.approve(hold, passkey, { how: { flags: 0x04 } }), /nobody was there/)
    await refused(await bob.approve(hold, passkey, { how: { client: { origin: 'http://evil.test' } } }), /another origin/)
    await refused(await bob.approve(hold, passkey, { how: { rpId: 'evil.test' } }), /another site/)
    await refused(await bob.approve(hold, passkey, { how: { challenge: randomBytes(32) } }), /another challenge/)
    await refused(await bob.approve(hold, passkey, { form: { reason: 'Agreed, and more.' } }), /another reason was signed/)
    await refused(await bob.approve(hold, passkey, { form: { ceremony: 'x' } }), /not begun here/)
    await refused(await bob.approve(hold, passkey, { form: { credential: '{"passkey":"x"}' } }), /no answer of a passkey/)
    await refused(await bob.approve(hold, passkey, { form: { digest: `sha256:${'b2'.repeat(32)}` } }), /What you saw is not what is waiting/, 409)
    await refused(await bob.approve(hold, softPasskey()), /no such passkey/)
    // Signed for another hold.
    const other = await ask(at)
    const form = await bob.yes(other)
    const begun = JSON.parse((await bob.challenge(other, form)).text) as Begun
    await refused(await bob.post(`/holds/${hold.id}/vote`, { ...(await bob.yes(hold)), ceremony: begun.ceremony, credential: bob.sign(passkey, begun) }), /another hold, action/)
    // Sent again, and late.
    const mine = await bob.yes(hold)
    const asked = JSON.parse((await bob.challenge(hold, mine)).text) as Begun
    at.world.skewMs += 200_000
    await refused(await bob.post(`/holds/${hold.id}/vote`, { ...mine, ceremony: asked.ceremony, credential: bob.sign(passkey, asked) }), /took too long/)
    const causes = at.notes.flatMap((event) => (event.type === 'vote-refused' ? [event.cause] : []))
    assert.ok(causes.length > 9 && causes.every((cause) => cause !== undefined))
    assert.equal((await bob.approve(hold, passkey)).status, 303)
  })

  test('is taken once, and only while the counter of the passkey goes on', async () => {
    await using at = await startConsole({}, 'localhost')
    const bob = await person(at, 'bob')
    const passkey = await bob.equipped()
    const two = terms([requirement({ count: 2, assurance: 'passkey' })], { withinMs: 600_000 })
    const [first, second] = [await ask(at, two), await ask(at, two)]
    const form = await bob.yes(first)
    const begun = JSON.parse((await bob.challenge(first, form)).text) as Begun
    const sent = { ...form, ceremony: begun.ceremony, credential: bob.sign(passkey, begun) }
    const answers = await Promise.all([1, 2, 3].map(() => bob.post(`/holds/${first.id}/vote`, sent)))
    assert.deepEqual(answers.map(({ status }) => status).filter((status) => status === 303).length, 1)
    assert.equal((await at.hold(first.id)).votes.length, 1)
    passkey.counter -= 1 // a copy that is one behind
    assert.match(alertIn((await bob.approve(second, passkey)).text), /counter did not go on/)
    assert.equal((await at.hold(second.id)).votes.length, 0)
    passkey.counter += 10
    assert.equal((await bob.approve(second, passkey)).status, 303)
  })

  test('comes from passkeys that do not count as well', async () => {
    await using at = await startConsole({}, 'localhost')
    const bob = await person(at, 'bob')
    const passkey = softPasskey('EdDSA')
    passkey.counter = 0
    await bob.raise()
    assert.equal((await bob.add(passkey, { flags: 0x5d })).status, 303)
    assert.match((await bob.get('/passkeys')).text, /may be on more than one device/)
    for (let times = 0; times < 2; times++) {
      passkey.counter = -1 // the next one is 0
      assert.equal((await bob.approve(await ask(at), passkey)).status, 303)
    }
  })
})

describe('what is lacking', () => {
  test('is said before anybody reaches for anything; a no lacks nothing', async () => {
    await using at = await startConsole({}, 'localhost')
    const bob = await person(at, 'bob')
    const hold = await ask(at)
    const { text } = await bob.get(`/holds/${hold.id}`)
    assert.match(text, /you have none here\. <a href="\/passkeys">Add one/)
    assert.doesNotMatch(text, /value="approve"/)
    assert.equal((await bob.challenge(hold, await bob.yes(hold))).status, 403)
    assert.match(alertIn((await bob.post(`/holds/${hold.id}/vote`, await bob.yes(hold))).text), /asks for a passkey, and you have none here/)
    assert.equal((await bob.post(`/holds/${hold.id}/vote`, { ...(await bob.yes(hold)), verdict: 'deny' })).status, 303)
    assert.equal((await at.hold(hold.id)).state, 'denied')
  })

  test('a text that is not shown whole is signed by nobody', async () => {
    await using at = await startConsole({}, 'localhost')
    const bob = await person(at, 'bob')
    await bob.equipped()
    const long = { textCut: true }
    const [here, anywhere] = [await at.ask(sqlAction('delete from a', [], long), { needs: signed }), await at.ask(sqlAction('delete from b', [], long))]
    assert.match((await bob.get(`/holds/${here.id}`)).text, /nobody can approve it/)
    assert.match((await bob.get(`/holds/${anywhere.id}`)).text, /holds approve/)
    assert.equal((await bob.challenge(here, await bob.yes(here))).status, 403)
    assert.match(alertIn((await bob.post(`/holds/${here.id}/vote`, await bob.yes(here))).text), /More will run than can be shown/)
  })

  test('a fresh login, where the rule asks for one, at most so long ago', async () => {
    await using at = await startConsole({}, 'localhost')
    const bob = await person(at, 'bob')
    const hold = await ask(at, terms([requirement({ freshLoginMs: 30_000 })], { withinMs: 600_000 }))
    const { text } = await bob.get(`/holds/${hold.id}`)
    assert.match(text, /sign in again first; that is good for 30 s[^]*href="\/oauth2\/step-up\?rd=%2Fholds%2F/)
    assert.doesNotMatch(text, /value="approve"/)
    assert.match(alertIn((await bob.post(`/holds/${hold.id}/vote`, await bob.yes(hold))).text), /sign in again before you approve/)
    await bob.raise()
    at.world.skewMs += 31_000
    assert.match(alertIn((await bob.post(`/holds/${hold.id}/vote`, await bob.yes(hold))).text), /sign in again before you approve/)
    await bob.raise()
    assert.equal((await bob.post(`/holds/${hold.id}/vote`, await bob.yes(hold))).status, 303)
    const [vote] = (await at.hold(hold.id)).votes
    assert.ok(vote?.loggedInAt !== undefined && vote.at - vote.loggedInAt < 30_000)
  })

  test('nobody votes past it by the API', async () => {
    await using at = await startConsole({}, 'localhost')
    for (const needs of [signed, terms([requirement({ freshLoginMs: 60_000 })])]) {
      const hold = await ask(at, needs)
      const response = await fetch(`${at.url}/api/holds/${hold.id}/votes`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${await at.idp.userToken('bob')}` }, body: JSON.stringify({ verdict: 'approve', digest: hold.action.digest }) })
      const { code, detail } = (await response.json()) as { readonly code: string; readonly detail: string }
      assert.deepEqual([response.status, code], [403, 'assurance-too-low'])
      assert.match(detail, /Approve it in the console/)
    }
  })
})

test('where browsers make no passkeys, none are offered', async () => {
  await using at = await startConsole()
  const bob = await person(at, 'bob')
  await bob.raise()
  const { text } = await bob.get('/passkeys')
  assert.match(text, /only for addresses with a name/)
  assert.equal((await bob.post('/passkeys/begin', { csrf: fieldIn(text, 'csrf') })).status, 404)
})
