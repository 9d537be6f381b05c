import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { startTeams, tenant, type FakeTeams, type Person } from '../channels/teams/fake-teams.ts'
import { until } from '../support/until.ts'
import { ask } from './client.ts'
import { policy, startDeployment, type Part } from './deployment.ts'
import type { Replica } from './process.ts'

const waitMs = 30_000
const bob: Person = { id: '29:bob', object: '0000000b-0000-4000-8000-000000000000' }
const inChat = { ...policy, rules: (policy['rules'] as Part[]).map((rule) => (rule['approval'] === undefined ? rule : { ...rule, approval: { ...(rule['approval'] as Part), assurance: 'chat' } })) }

const messageOf = (teams: FakeTeams, path: string): Promise<string> => until(`the card about ${path}`, () => [...teams.messages.keys()].find((message) => JSON.stringify(teams.cardOf(message)).includes(`POST ${path}`)), waitMs)
const stands = (teams: FakeTeams, message: string, state: string): Promise<unknown> => until(`${state} on the card`, () => JSON.stringify(teams.cardOf(message)).includes(state), waitMs)

/** Presses a button that is on the card, as the Connector tells a replica of it. */
const press = async (teams: FakeTeams, at: Replica, message: string, verb: 'approve' | 'deny', token?: string) =>
  await ask(at.console, '/teams/activities', token ?? (await teams.token()), { body: JSON.stringify(teams.click(bob, verb, teams.buttonOf(message, verb)?.data ?? assert.fail(`no button to ${verb}`))) })

for (const kind of ['embedded', 'redis'] as const) {
  test(`people decide on cards in Teams, also when the replica that posted them is killed, ${kind} store`, async () => {
    await using teams = await startTeams()
    teams.people.set(bob.id, bob)
    const { appId, conversation, serviceUrl, connector } = teams.options()
    const directory = `https://login.microsoftonline.com/${tenant}/v2.0`
    await using world = await startDeployment(kind, {
      listeners: { console: { url: 'https://approvals.example.org', 'sign-in': { issuer: 'directory', 'client-id': 'countersign' } } },
      issuers: { directory: { preset: 'entra', tenants: [tenant], audiences: ['countersign'], algorithms: ['ES256'], keys: { 'jwks-file': '../directory.json' } } },
      channels: { chat: { kind: 'teams-bot', 'app-id': appId, 'app-secret': '${env:BOT}', tenant, issuer: 'directory', conversation, 'service-url': serviceUrl, payload: 'full', 'private-addresses': true, connector: { 'jwks-url': connector.jwksUrl, 'token-url': connector.tokenUrl, 'service-hosts': connector.serviceHosts } } },
    })
    writeFileSync(world.policyFile, stringify(inChat))
    writeFileSync(join(world.directory, 'directory.json'), JSON.stringify(world.issuer.jwks))
    const options = { env: { BOT: teams.appSecret } }
    const replicas = { a: await world.start('a', {}, options), b: await world.start('b', {}, options) }
    const agent = await world.agent()
    const speaks = async (replica: Replica): Promise<boolean> => ((await ask(replica.admin, '/readyz', '', { method: 'GET' })).json['channels'] as [{ speaks: boolean }])[0].speaks
    const [speaker, other] = (await until('one to speak', async () => ((await speaks(replicas.a)) ? [replicas.a, replicas.b] : (await speaks(replicas.b)) ? [replicas.b, replicas.a] : undefined), waitMs)) as [Replica, Replica]

    const first = ask(other.http, '/refunds/1', agent, { body: '{}' })
    first.catch(() => {}) // what fails before it is told by itself
    const card = await messageOf(teams, '/refunds/1')
    const early = await press(teams, other, card, 'approve')
    assert.match(early.text, /have not signed in to the console lately/)
    const known = await ask(other.console, '/api/whoami', await world.issuer.sign({ iss: directory, tid: tenant, oid: bob.object, ver: '2.0', groups: ['oncall'] }, { typ: 'JWT' }), { method: 'GET' })
    assert.equal(known.status, 200, known.text)

    await speaker.kill('SIGKILL')
    assert.equal((await press(teams, other, card, 'approve', await teams.token({ aud: 'another-bot' }))).status, 401)
    // Who came with a token is written down while they are answered.
    await until('the click to count', async () => (await press(teams, other, card, 'approve')).text.includes('vnd.microsoft.card.adaptive'), waitMs)
    assert.equal((await first).status, 200)
    await stands(teams, card, '✓ Executed')
    assert.equal(world.upstream.arrivals.length, 1)

    const second = ask(other.http, '/refunds/2', agent, { body: '{}' })
    second.catch(() => {})
    const next = await messageOf(teams, '/refunds/2')
    await press(teams, other, next, 'deny')
    assert.equal((await second).status, 403)
    await stands(teams, next, '✕ Denied')

    const records = world.records()
    assert.deepEqual(records.filter(({ type }) => type === 'voted').map(({ vote }) => { const { channel, assurance, verdict, by } = vote as { channel: string; assurance: string; verdict: string; by: { issuer: string; subject: string } }; return [channel, assurance, verdict, by.issuer, by.subject] }), [['teams', 'chat', 'approve', directory, `${tenant}/${bob.object}`], ['teams', 'chat', 'deny', directory, `${tenant}/${bob.object}`]])
    assert.deepEqual([...new Set(records.filter(({ type }) => type === 'vote-refused').map(({ refusal }) => refusal))], ['no-identity'])
    assert.equal(records.filter(({ type, from }) => type === 'authentication-failed' && from === 'teams').length, 1)
    assert.deepEqual(teams.wrong, [])
    assert.ok(!JSON.stringify(records).includes(teams.appSecret) && !other.log().includes(teams.appSecret))
  })
}
