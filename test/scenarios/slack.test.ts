import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { buttonOf, clickOf, startFakeSlack, tokens, type FakeSlack, type Message } from '../channels/slack/fake-slack.ts'
import { fieldIn } from '../channels/web/console-desk.ts'
import { makeBrowser, startIdp } from '../support/idp.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { ask } from './client.ts'
import { policy, startDeployment, type Part } from './deployment.ts'

const waitMs = 30_000
const inChat = { ...policy, rules: (policy['rules'] as Part[]).map((rule) => (rule['approval'] === undefined ? rule : { ...rule, approval: { ...(rule['approval'] as Part), from: { groups: ['dba'] }, assurance: 'chat' } })) }

const messageOf = (slack: FakeSlack, path: string): Promise<Message> => until(`the message about ${path}`, () => slack.messages.find(({ blocks }) => JSON.stringify(blocks).includes(`POST ${path}`)), waitMs)

for (const kind of ['embedded', 'redis'] as const) {
  test(`somebody says in the console who they are, decides in Slack, and goes on doing so when a replica is killed, ${kind} store`, async () => {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    await using idp = await startIdp({ consoleUrl: url })
    await using slack = await startFakeSlack()
    slack.users.set('U0BOB', {})
    await using world = await startDeployment(kind, {
      listeners: { console: { url, 'sign-in': { issuer: 'idp', 'client-id': 'countersign-console', 'client-secret': '${env:CONSOLE_SECRET}', scopes: ['openid', 'profile', 'email', 'groups'] } } },
      issuers: { idp: { issuer: idp.issuer, audiences: [idp.audience], 'token-types': ['at+jwt'], kind: 'human' } },
      channels: { chat: { kind: 'slack', url: slack.url, 'private-addresses': true, channel: 'C0APPROVALS', token: '${env:SLACK_TOKEN}', 'app-token': '${env:SLACK_APP}', workspaces: ['T0HOME'], payload: 'full' } },
    })
    writeFileSync(world.policyFile, stringify(inChat))
    const options = { env: { CONSOLE_SECRET: 'countersign-console-secret', SLACK_TOKEN: tokens.bot, SLACK_APP: tokens.app } }
    const replicas = { a: await world.start('a', { listeners: { console: { address: `127.0.0.1:${port}` } } }, options), b: await world.start('b', {}, options) }
    await until('both connections', () => slack.sockets().length === 2, waitMs)
    const agent = await world.agent()

    const first = ask(replicas.b.http, '/refunds/1', agent, { body: '{}' })
    const message = await messageOf(slack, '/refunds/1')
    const approve = () => clickOf({ user: 'U0BOB' }, message, buttonOf(message, 'Approve'))
    assert.ok(await slack.deliver(approve(), { withinMs: waitMs }))
    const whisper = await until('the way to the console', () => slack.whispers[0], waitMs)
    const [link = ''] = /http:\/\/127\.0\.0\.1:\d+\/links\/new\/[\w-]+/.exec(JSON.stringify(whisper.blocks)) ?? []
    const browser = makeBrowser()
    const { text } = await browser.logIn(`${url}/oauth2/start?rd=${encodeURIComponent(new URL(link).pathname)}`, 'bob', (at) => at === link)
    assert.equal(text, '')
    const page = await (await browser.visit(link)).text()
    assert.match(page, /U0BOB/)
    assert.equal((await browser.visit(`${url}/links`, { csrf: fieldIn(page, 'csrf'), ticket: fieldIn(page, 'ticket') }, { origin: url })).status, 303)
    assert.ok(await slack.deliver(approve(), { withinMs: waitMs }))
    assert.equal((await first).status, 200)
    await until('the result to stand there', () => /Executed: POST/.test(JSON.stringify(message.blocks)), waitMs)
    assert.equal(world.upstream.executions('/refunds/1'), 1)

    await replicas.b.kill('SIGKILL')
    const second = ask(replicas.a.http, '/refunds/2', agent, { body: '{}' })
    const next = await messageOf(slack, '/refunds/2')
    await until('one connection', () => slack.sockets().length === 1, waitMs)
    assert.ok(await slack.deliver(clickOf({ user: 'U0BOB' }, next, buttonOf(next, 'Approve')), { withinMs: waitMs }))
    assert.equal((await second).status, 200)
    await until('the result to stand there', () => /Executed: POST/.test(JSON.stringify(next.blocks)), waitMs)

    const records = world.records()
    assert.deepEqual(records.filter(({ type }) => type === 'vote-refused').map(({ refusal, by }) => [refusal, (by as { subject: string }).subject]), [['no-identity', 'U0BOB']])
    assert.deepEqual(records.filter(({ type }) => type === 'linked').map(({ account, by }) => [account, by]), [[{ chat: 'slack', workspace: 'T0HOME', user: 'U0BOB' }, { issuer: idp.issuer, subject: 'bob' }]])
    assert.deepEqual(records.filter(({ type }) => type === 'voted').map(({ vote }) => { const { channel, assurance, by } = vote as { channel: string; assurance: string; by: { subject: string } }; return [channel, assurance, by.subject] }), [['slack', 'chat', 'bob'], ['slack', 'chat', 'bob']])
    assert.deepEqual(slack.refused, [])
    const channels = (await ask(replicas.a.admin, '/readyz', '', { method: 'GET' })).json['channels'] as readonly Record<string, unknown>[]
    assert.deepEqual(channels.map(({ clicks, channel }) => [channel, clicks]), [['chat', 'connected']])
  })
}
