import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { isServiceUrl, makeActivityReader } from '../../../src/channels/teams/activity.ts'
import { makeOutbound } from '../../../src/identity/outbound.ts'
import type { AuditEvent } from '../../../src/model/audit-event.ts'
import { refused } from '../../approval/world.ts'
import { appId, startTeams, tenant, type Person } from './fake-teams.ts'

const bob: Person = { id: '29:bob', object: '0000000b-0000-4000-8000-000000000000' }
const teams = await startTeams()
const outbound = makeOutbound(undefined)
after(async () => {
  await outbound[Symbol.asyncDispose]()
  await teams[Symbol.asyncDispose]()
})

const noted: AuditEvent[] = []
const clock = { aheadMs: 0 }
const { connector } = teams.options()
const reader = (jwksUrl = connector.jwksUrl) => makeActivityReader([{ appId, connector: { ...connector, jwksUrl } }], { fetch: outbound.fetch, now: () => Date.now() + clock.aheadMs, signal: new AbortController().signal, note: (event) => void noted.push(event) })
const read = reader()
const post = (authorization: readonly string[], body: unknown) => ({ headers: (name: string) => (name === 'authorization' ? authorization : []), body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), address: '192.0.2.1' })
const click = teams.click(bob, 'approve', {})
const seconds = Math.floor(Date.now() / 1_000)

describe('activities', () => {
  test('one that the Connector signed for this bot and this service is read', async () => {
    const activity = await read(post([`Bearer ${await teams.token()}`], click))
    assert.deepEqual([activity.app, activity.tenants, activity.from.aadObjectId], [appId, [tenant, tenant], bob.object])
    assert.ok(await read(post([`bearer ${await teams.token({ serviceurl: teams.url.toUpperCase().replace('HTTP', 'http') + '/TEAMS' })}`], click)))
    assert.ok(await read(post([`Bearer ${await teams.token({ exp: seconds - 200 })}`], click)))
  })

  test('everything else is turned away, for one reason each, and is on record without its token', async () => {
    const cases: readonly (readonly [string, string, unknown, RegExp])[] = [
      ['another bot', await teams.token({ aud: 'app-2' }), click, /audience/],
      ['several audiences', await teams.token({ aud: [appId, 'app-2'] }), click, /audience/],
      ['another issuer', await teams.token({ iss: 'https://idp-a.test' }), click, /audience/],
      ['another service', await teams.token({ serviceurl: 'https://evil.test/' }), click, /serviceurl/],
      ['no service', await teams.token({ serviceurl: undefined }), click, /serviceurl/],
      ['a service that is not the Connector', await teams.token({ serviceurl: 'https://evil.test/' }), { ...click, serviceUrl: 'https://evil.test/' }, /host of the Bot Connector/],
      ['over', await teams.token({ exp: seconds - 600 }), click, /exp/],
      ['endless', await teams.token({ exp: undefined }), click, /exp/],
      ['not yet', await teams.token({ nbf: seconds + 600 }), click, /nbf/],
      ['a key for other chats', await teams.token({ key: 'other' }), click, /endorsed/],
      ['a key that is not listed', await teams.token({ key: 'unlisted' }), click, /no key/],
      ['a name of another key', await teams.token({ key: 'unlisted', header: { kid: 'good' } }), click, /signature/],
      ['no name of a key', await teams.token({ header: { kid: undefined } }), click, /no kid/],
      ['another chat', await teams.token(), { ...click, channelId: 'webchat' }, /endorsed for msteams/],
      ['unsigned', `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ iss: connector.issuer, aud: appId })).toString('base64url')}.x`, click, /RS256/],
      ['HS256', `${Buffer.from('{"alg":"HS256","kid":"good"}').toString('base64url')}.${Buffer.from(JSON.stringify({ iss: connector.issuer, aud: appId })).toString('base64url')}.x`, click, /RS256/],
      ['no token at all', 'x.y.z', click, /cannot be read/],
      ['too long', `${'x'.repeat(9_000)}.y.z`, click, /no signed token/],
    ]
    for (const [name, token, body, cause] of cases) {
      noted.length = 0
      const refusal = await refused(read(post([`Bearer ${token}`], body)))
      assert.equal(refusal.code, 'bad-identity', name)
      const [event] = noted
      assert.ok(event?.type === 'authentication-failed', name)
      assert.match(event.cause, cause, name)
      assert.equal(event.from, 'teams')
      assert.ok(!JSON.stringify(event).includes(token.slice(-40)) || token.length < 40, name)
    }
    assert.equal((await refused(read(post([], click)))).code, 'no-identity')
    assert.equal((await refused(read(post([`Bearer ${await teams.token()}`, 'Bearer x.y.z'], click)))).code, 'bad-identity')
  })

  test('the body is looked at after the token, and only as one that says one thing', async () => {
    assert.equal((await refused(read(post([`Bearer ${await teams.token({ aud: 'app-2' })}`], '{')))).code, 'bad-identity')
    for (const body of ['{', '[]', JSON.stringify(click).replace('"type":"invoke"', '"type":"invoke","type":"message"'), { ...click, from: {} }, { ...click, id: '' }]) assert.equal((await refused(read(post([`Bearer ${await teams.token()}`], body)))).code, 'malformed')
  })

  test('keys that cannot be had make it wait, not pass', async () => {
    assert.equal((await refused(reader('http://127.0.0.1:1/keys')(post([`Bearer ${await teams.token()}`], click)))).code, 'identity-unavailable')
  })

  test('where our own token may be sent', () => {
    const hosts = ['smba.trafficmanager.net', '*.botframework.com']
    for (const good of ['https://smba.trafficmanager.net/emea/', 'https://SMBA.trafficmanager.net/', 'https://europe.api.botframework.com/']) assert.ok(isServiceUrl(good, hosts), good)
    for (const bad of ['http://smba.trafficmanager.net/', 'https://smba.trafficmanager.net.evil.test/', 'https://evil.test/smba.trafficmanager.net', 'https://smba.trafficmanager.net@evil.test/', 'https://evil.trafficmanager.net/', 'https://botframework.com/', 'https://xbotframework.com/', 'https://smba.trafficmanager.net:444/', 'https://smba.trafficmanager.net\\@evil.test/', 'https://smba.trafficmanager.net/?x', 'nonsense']) assert.ok(!isServiceUrl(bad, hosts), bad)
  })
})
