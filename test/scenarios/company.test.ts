import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import OpenAI from 'openai'
import { stringify } from 'yaml'
import { makeBrowser, startIdp, type Idp } from '../support/idp.ts'
import { until } from '../support/until.ts'
import { ask } from './client.ts'
import { startDeployment, type Deployment } from './deployment.ts'
import type { Replica } from './process.ts'
import { openTerminal, type Terminal } from './terminal.ts'

/**
 * Two agents and two people, as a company has them: an OpenID provider, agents with client credentials, one of them through the SDK of
 * its model's provider, people at their command lines.
 */
const policy = {
  policy: 'company',
  services: ['orders', 'llm'],
  rules: [
    { name: 'read', then: 'allow', callers: { groups: ['agents'] }, methods: ['GET'] },
    { name: 'talk', then: 'allow', callers: { kind: 'agent' }, methods: ['POST'], paths: ['/v1/chat/completions'] },
    { name: 'long-answers', then: 'hold', methods: ['POST'], paths: ['/v1/chat/completions'], if: 'has(http.json.max_tokens) && http.json.max_tokens > 1000', approval: { from: { groups: ['oncall'] }, count: 2, 'ask-reason': true }, because: 'A very long answer is expensive.' },
    { name: 'refund', then: 'hold', callers: { kind: 'agent' }, methods: ['POST'], paths: ['/refunds/**'], approval: { from: { groups: ['oncall'] } }, because: 'Money moves.' },
  ],
}
const person = (name: string, ...groups: readonly string[]) => ({ name, email: `${name.toLowerCase()}@example.org`, groups })

describe('a company', { concurrency: 1 }, () => {
  let idp: Idp
  let world: Deployment
  let replica: Replica
  let [bob, carol]: Terminal[] = []
  before(async () => {
    idp = await startIdp({
      users: { alice: person('Alice', 'oncall'), bob: person('Bob', 'oncall'), carol: person('Carol', 'oncall') },
      agents: ['invoice-agent', 'report-agent'].map((id) => ({ id, secret: `${id}-secret`, groups: ['agents'] })),
    })
    world = await startDeployment('embedded', {
      listeners: { console: { login: { issuer: 'corp', 'client-id': 'countersign-cli', scopes: ['openid', 'groups', 'offline_access'] } } },
      issuers: { corp: { issuer: idp.issuer, algorithms: undefined, keys: undefined } },
      services: { llm: { routes: [{ path: '/llm', 'strip-prefix': true, errors: 'openai', hold: { wait: '20s' } }] } },
    })
    writeFileSync(world.policyFile, stringify(policy))
    replica = await world.start('a', { services: { llm: { upstream: world.upstream.url } } })
    ;[bob, carol] = await Promise.all([openTerminal(replica.console), openTerminal(replica.console)])
    world.upstream.answer = ({ path, body }, response) => {
      const asked = path === '/v1/chat/completions' ? (JSON.parse(body) as { readonly stream?: boolean }) : undefined
      if (asked?.stream) {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        for (const word of ['Good', ' day']) response.write(`data: ${JSON.stringify({ id: 'c-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: word }, finish_reason: null }] })}\n\n`)
        return void response.end('data: [DONE]\n\n')
      }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(asked ? { id: 'c-1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Good day' } }] } : { ran: path }))
    }
  })
  after(async () => {
    for (const part of [bob, carol, world, idp]) await part?.[Symbol.asyncDispose]()
  })

  const logIn = async (terminal: Terminal, name: string): Promise<void> => {
    const login = terminal.start('login', '--device')
    const [page = '', code = ''] = await until('the page and the code', () => login.out().split('\n').length > 2 && login.out().trim().split('\n'), 10_000)
    await makeBrowser().logIn(`${page}?user_code=${code}`, name)
    const { code: exit, err } = await login.done
    assert.equal(exit, 0, err)
  }
  const pendingFor = (terminal: Terminal, text: string) =>
    until(`a hold for ${text}`, async () => {
      const { code, out, err } = await terminal.run('holds', 'ls', '-o', 'json')
      assert.equal(code, 0, err)
      return (JSON.parse(out) as { readonly holds: readonly { readonly id: string; readonly code: string; readonly preview: string }[] }).holds.find((hold) => hold.preview.includes(text))
    }, 10_000)
  const llm = async (): Promise<OpenAI> => new OpenAI({ apiKey: await idp.agentToken('report-agent'), baseURL: `${replica.http}/llm/v1`, timeout: 25_000 })
  const chats = (): number => world.upstream.arrivals.filter(({ path }) => path === '/v1/chat/completions').length
  const question = { model: 'm', messages: [{ role: 'user' as const, content: 'Summarise the year.' }] }

  test('people log in from the command line, by another device', { timeout: 30_000 }, async () => {
    await Promise.all([logIn(bob!, 'bob'), logIn(carol!, 'carol')])
    assert.match((await bob!.run('whoami')).out, /subject\s+bob/)
  })

  test('an agent reads, asks for a refund, and gets its answer when bob says yes; its owner may not', async () => {
    const agent = await idp.agentToken('invoice-agent')
    assert.equal((await ask(replica.http, '/orders', agent, { method: 'GET' })).status, 200)
    const asked = ask(replica.http, '/refunds/o-1', agent, { body: '{"amount":420}' })
    const hold = await pendingFor(bob!, '/refunds/o-1')
    assert.match((await bob!.run('holds', 'show', hold.code)).out, /420/)

    await using alice = await openTerminal(replica.console, { COUNTERSIGN_TOKEN: await idp.userToken('alice') })
    const own = await alice.run('holds', 'approve', hold.id, '--yes', '--code', hold.code)
    assert.equal(own.code, 5, own.err)
    await using itself = await openTerminal(replica.console, { COUNTERSIGN_TOKEN: agent })
    assert.equal((await itself.run('holds', 'approve', hold.id, '--yes', '--code', hold.code)).code, 5)
    assert.notEqual((await bob!.run('holds', 'approve', hold.id, '--yes', '--code', 'CS-0000')).code, 0, 'another code than was seen')
    assert.equal(world.upstream.executions('/refunds/o-1'), 0)

    const yes = await bob!.run('holds', 'approve', hold.id, '--yes', '--code', hold.code)
    assert.equal(yes.code, 0, yes.err)
    const reply = await asked
    assert.deepEqual([reply.status, reply.json], [200, { ran: '/refunds/o-1' }])
    assert.equal(world.upstream.executions('/refunds/o-1'), 1)
  })

  test('whom an agent acts for cannot approve what it asks for; another can', async () => {
    const delegated = await idp.delegatedToken(await idp.userToken('bob'), 'invoice-agent')
    const asked = ask(replica.http, '/refunds/o-2', delegated, { body: '{"amount":1}' })
    const hold = await pendingFor(carol!, '/refunds/o-2')
    assert.equal((await bob!.run('holds', 'approve', hold.id, '--yes', '--code', hold.code)).code, 5)
    assert.equal((await carol!.run('holds', 'approve', hold.id, '--yes', '--code', hold.code)).code, 0)
    assert.equal((await asked).status, 200)
  })

  test('the SDK of a model provider: talks freely, waits for two people, streams', async () => {
    const client = await llm()
    const free = await client.chat.completions.create({ ...question, max_tokens: 10 })
    assert.equal(free.choices[0]?.message.content, 'Good day')
    const before = chats()

    const streaming = client.chat.completions.create({ ...question, max_tokens: 2000, stream: true })
    const hold = await pendingFor(bob!, 'max_tokens')
    for (const terminal of [bob!, carol!]) {
      const yes = await terminal.run('holds', 'approve', hold.id, '--yes', '--code', hold.code, '--reason', 'the yearly report')
      assert.equal(yes.code, 0, yes.err)
    }
    let said = ''
    for await (const chunk of await streaming) said += chunk.choices[0]?.delta.content ?? ''
    assert.equal(said, 'Good day')
    assert.equal(chats(), before + 1)
  })

  test('the SDK of a model provider: a no is an error that it does not retry, with the words of who said it', async () => {
    const client = await llm()
    const before = chats()
    const asked = client.chat.completions.create({ ...question, max_tokens: 3000 }).then(() => undefined, (error: unknown) => error)
    const hold = await pendingFor(carol!, 'max_tokens')
    assert.equal((await carol!.run('holds', 'deny', hold.id, '--reason', 'use the monthly reports')).code, 0)
    const error = await asked
    assert.ok(error instanceof OpenAI.PermissionDeniedError, String(error))
    assert.match(error.message, /NOT EXECUTED.*use the monthly reports/)
    assert.equal(chats(), before)

    const pending = await client.chat.completions.create({ ...question, max_tokens: 4000 }, { headers: { prefer: 'wait=0' }, maxRetries: 0 }).then(() => undefined, (failed: unknown) => failed)
    assert.ok(pending instanceof OpenAI.APIError && pending.status === 503, String(pending))
    assert.match(pending.message, /NOT EXECUTED, waiting for approval CS-/)
    assert.equal(chats(), before)
  })
})
