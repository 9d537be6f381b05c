import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { rawHttp, statusOf } from '../../support/raw-http.ts'
import { digest, makeHold, startDesk } from './hold-desk.ts'

const yes = { verdict: 'approve', digest }

describe('votes', () => {
  test('an eligible person approves, seen afresh, and the hold says so', async () => {
    await using desk = await startDesk()
    const answer = await desk.call('POST', '/api/holds/hold_1/votes', { token: 'alice', body: { ...yes, reason: 'Asked for by finance.' } })
    assert.equal(answer.status, 200)
    assert.equal(answer.json['state'], 'approved')
    assert.deepEqual(desk.calls, ['recheck alice', 'vote approve alice api'])
    assert.equal((answer.json['votes'] as { assurance: string }[])[0]?.assurance, 'console')
  })

  test('each no has its status and its code', async () => {
    await using desk = await startDesk()
    const vote = async (token: string | undefined, body: unknown, id = 'hold_1') => {
      const { status, json } = await desk.call('POST', `/api/holds/${id}/votes`, { ...(token ? { token } : {}), body })
      return [status, json['code']]
    }
    assert.deepEqual(await vote(undefined, yes), [401, 'no-identity'])
    assert.deepEqual(await vote('nobody', yes), [401, 'bad-identity'])
    assert.deepEqual(await vote('alice', { ...yes, digest: `sha256:${'b2'.repeat(32)}` }), [409, 'wrong-digest'])
    assert.deepEqual(await vote('alice', { ...yes, revision: 7 }), [409, 'hold-changed'])
    assert.deepEqual(await vote('olga', yes), [403, 'self-approval'])
    assert.deepEqual(await vote('dave', yes), [404, 'not-found'])
    assert.deepEqual(await vote('alice', yes, 'hold_2'), [404, 'not-found'])
    desk.holds.set('hold_1', makeHold({ deadline: 1 }))
    assert.deepEqual(await vote('alice', yes), [410, 'hold-expired'])
    desk.holds.set('hold_1', makeHold({ state: 'denied' }))
    assert.deepEqual(await vote('alice', yes), [409, 'already-settled'])
    assert.equal(desk.holds.get('hold_1')?.votes.length, 0)
  })

  test('no agent votes, alone or for a person, and nobody votes with a token that acts for another', async () => {
    await using desk = await startDesk()
    for (const token of ['agent', 'delegated', 'deputy']) {
      for (const id of ['hold_1', 'hold_2']) {
        const { status, json } = await desk.call('POST', `/api/holds/${id}/votes`, { token, body: yes })
        assert.deepEqual([status, json['code']], [403, 'not-eligible'])
        assert.match(String(json['detail']), /human approver/)
      }
    }
    assert.ok(!desk.calls.some((call) => call.startsWith('vote')))
    assert.equal(desk.calls.filter((call) => call.startsWith('turned away') && call.endsWith('hold_1')).length, 3, 'that they tried is on record')
  })

  test('a token that turned bad since it was cached cannot vote', async () => {
    await using desk = await startDesk()
    const cached = desk.tokens.get('alice')!
    let looks = 0
    desk.tokens.get = (token) => (token === 'alice' && looks++ === 0 ? cached : undefined)
    assert.equal((await desk.call('POST', '/api/holds/hold_1/votes', { token: 'alice', body: yes })).status, 401)
    assert.equal(desk.holds.get('hold_1')?.state, 'pending')
  })

  test('a hold that one may not see and one that does not exist are told apart by nothing', async () => {
    await using desk = await startDesk()
    for (const [method, suffix, body] of [['GET', '', undefined], ['POST', '/votes', yes], ['POST', '/withdraw', {}]] as const) {
      const [hidden, unknown] = await Promise.all(['hold_1', 'hold_9'].map((id) => desk.call(method, `/api/holds/${id}${suffix}`, { token: 'dave', body })))
      assert.equal(hidden?.status, 404)
      assert.equal(hidden?.text, unknown?.text)
      assert.deepEqual([...hidden!.headers].filter(([name]) => name !== 'date'), [...unknown!.headers].filter(([name]) => name !== 'date'))
    }
  })

  test('the requester takes an action back, others do not', async () => {
    await using desk = await startDesk()
    assert.equal((await desk.call('POST', '/api/holds/hold_1/withdraw', { token: 'alice', body: {} })).status, 403)
    assert.equal((await desk.call('POST', '/api/holds/hold_1/withdraw', { token: 'agent', body: {} })).json['state'], 'withdrawn')
  })
})

describe('what the body may be', () => {
  const refused: readonly (readonly [string, unknown, Record<string, string>, number])[] = [
    ['a key twice', `{"verdict":"deny","digest":"${digest}","verdict":"approve"}`, {}, 400],
    ['a key twice, spelled differently', `{"verdict":"deny","digest":"${digest}","\\u0076erdict":"approve"}`, {}, 400],
    ['an unknown key', { ...yes, force: true }, {}, 400],
    ['a prototype', `{"__proto__":{"verdict":"approve"},"verdict":"deny","digest":"${digest}"}`, {}, 400],
    ['no digest', { verdict: 'approve' }, {}, 400],
    ['a digest in another spelling', { ...yes, digest: digest.toUpperCase() }, {}, 400],
    ['an array', [yes], {}, 400],
    ['nothing', '', {}, 400],
    ['a form', `verdict=approve&digest=${digest}`, { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['plain text', yes, { 'content-type': 'text/plain' }, 415],
    ['another charset', yes, { 'content-type': 'application/json; charset=utf-7' }, 415],
    ['compressed', yes, { 'content-encoding': 'gzip' }, 415],
    ['more than 64 KB', { ...yes, reason: 'x'.repeat(70_000) }, {}, 413],
    ['control characters for a terminal', { ...yes, reason: '\u001b[2J' }, {}, 400],
    ['text that runs backwards', { ...yes, reason: 'a\u202eb' }, {}, 400],
  ]
  for (const [what, body, headers, status] of refused) {
    test(`${what}: ${status}`, async () => {
      await using desk = await startDesk()
      const answer = await desk.call('POST', '/api/holds/hold_1/votes', { token: 'alice', body, headers })
      assert.equal(answer.status, status)
      assert.equal(answer.headers.get('content-type'), 'application/problem+json')
      assert.equal(desk.holds.get('hold_1')?.state, 'pending')
    })
  }
})

describe('the boundary', () => {
  test('another host name, another origin: nothing happens', async () => {
    await using desk = await startDesk()
    const body = JSON.stringify(yes)
    const post = (...headers: string[]) => rawHttp(desk.port, ['POST /api/holds/hold_1/votes HTTP/1.1', ...headers, 'Authorization: Bearer alice', 'Content-Type: application/json', `Content-Length: ${body.length}`, 'Connection: close', '', body].join('\r\n'))
    assert.equal(statusOf(await post('Host: attacker.example')), 421)
    assert.equal(statusOf(await post('Host: 127.0.0.1.attacker.example')), 421)
    assert.equal(statusOf(await post('Host: 127.0.0.1', 'Host: attacker.example')), 421)
    assert.equal(statusOf(await post('Host: 127.0.0.1', 'Origin: https://attacker.example')), 403)
    assert.equal(statusOf(await post('Host: 127.0.0.1', 'Origin: null')), 403)
    assert.equal(statusOf(await post('Host: 127.0.0.1', 'Sec-Fetch-Site: cross-site')), 403)
    assert.equal(statusOf(await post('Host: 127.0.0.1', 'Authorization: Bearer dave')), 400)
    assert.equal(desk.holds.get('hold_1')?.state, 'pending')
    assert.equal(statusOf(await post('Host: approvals.example.org', 'Origin: https://approvals.example.org')), 200)
  })

  test('reading changes nothing, whatever a header or a query claims', async () => {
    await using desk = await startDesk()
    for (const method of ['GET', 'HEAD']) {
      for (const path of ['/api/holds/hold_1/votes', `/api/holds/hold_1/votes?verdict=approve&digest=${digest}`, '/api/holds/hold_1/withdraw', '/api/holds/hold_1?_method=POST', '/api/holds?action=approve']) {
        for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override', 'accept']) {
          const { status } = await desk.call(method, path, { token: 'alice', headers: { [name]: 'POST' } })
          assert.ok([200, 400, 404, 405].includes(status), `${method} ${path}: ${status}`)
        }
      }
    }
    assert.deepEqual(desk.calls, [])
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS']) assert.equal((await desk.call(method, '/api/holds/hold_1', { token: 'alice' })).status, 405)
  })

  test('paths mean what they say', async () => {
    await using desk = await startDesk()
    for (const target of ['/api/holds/../whoami', '/api//holds', '/api/holds%2fhold_1', '/api/%68olds', '//api/holds', 'http://127.0.0.1/api/holds', '/api/holds/hold_1/', '/API/holds', '/api\\holds', '*'])
      assert.equal(statusOf(await rawHttp(desk.port, `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer alice\r\nConnection: close\r\n\r\n`)), 404, target)
  })

  test('answers carry headers that keep them out of frames, caches and other sites', async () => {
    await using desk = await startDesk()
    for (const path of ['/api/whoami', '/nothing']) {
      const { headers } = await desk.call('GET', path, { token: 'alice' })
      assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/)
      assert.deepEqual(['cache-control', 'x-content-type-options', 'x-frame-options', 'access-control-allow-origin'].map((name) => headers.get(name)), ['no-store', 'nosniff', 'DENY', null])
      assert.ok(headers.get('strict-transport-security'))
    }
  })
})

describe('what is shown', () => {
  test('the action as it will run, and nothing that only the record needs', async () => {
    await using desk = await startDesk()
    const { json, text } = await desk.call('GET', '/api/holds/hold_1', { token: 'alice' })
    assert.deepEqual([json['code'], (json['action'] as { text: string }).text, json['mayVote']], ['CS-7F3K', 'POST /v1/exports\n\n{"all":true}', true])
    assert.ok(!text.includes('never shown') && !text.includes('session-'))
    assert.equal((await desk.call('GET', '/api/holds/hold_1', { token: 'agent' })).json['mayVote'], false)
  })

  test('lists are pages, filtered, of what one may see', async () => {
    await using desk = await startDesk()
    for (let n = 2; n <= 5; n++) desk.holds.set(`hold_${n}`, makeHold({ id: `hold_${n}`, state: n === 5 ? 'denied' : 'pending' }))
    const ids = async (query: string, token = 'alice') => ((await desk.call('GET', `/api/holds${query}`, { token })).json['holds'] as { id: string }[]).map(({ id }) => id)
    assert.equal((await ids('')).length, 5)
    assert.deepEqual(await ids('?state=denied'), ['hold_5'])
    assert.deepEqual(await ids('', 'dave'), [])
    assert.equal((await desk.call('GET', '/api/holds?limit=2', { token: 'alice' })).json['next'], 'n1')
    for (const query of ['?limit=0', '?limit=101', '?state=open', '?limit=1&limit=2', '?colour=red']) assert.equal((await desk.call('GET', `/api/holds${query}`, { token: 'alice' })).status, 400, query)
  })

  test('whoami and login-info', async () => {
    await using desk = await startDesk()
    assert.deepEqual((({ subject, mayVote }) => [subject, mayVote])((await desk.call('GET', '/api/whoami', { token: 'alice' })).json), ['alice', true])
    assert.equal((await desk.call('GET', '/api/whoami', { token: 'agent' })).json['mayVote'], false)
    assert.equal((await desk.call('GET', '/api/login-info')).json['clientId'], 'countersign-cli')
  })

  test('a bug says nothing of itself', async () => {
    await using desk = await startDesk()
    desk.tokens.get = () => {
      throw new Error('password=hunter2')
    }
    const { status, text } = await desk.call('GET', '/api/holds', { token: 'alice' })
    assert.equal(status, 500)
    assert.ok(!text.includes('hunter2'))
  })
})
