import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { parse } from 'yaml'
import type { Hold } from '../../src/model/hold.ts'
import { digest, makeHold, person, startDesk } from '../channels/web/hold-desk.ts'
import { until } from '../support/until.ts'
import { makeShell } from './shell.ts'

const portOf = (server: Server): number => (server.address() as AddressInfo).port

const begin = async (token = 'alice') => {
  const desk = await startDesk()
  const shell = await makeShell({ COUNTERSIGN_SERVER: desk.url, COUNTERSIGN_TOKEN: token })
  return { desk, shell, async [Symbol.asyncDispose]() {
    await shell[Symbol.asyncDispose]()
    await desk[Symbol.asyncDispose]()
  } }
}

test('ls and show print for people and for programs', async () => {
  await using at = await begin()
  const { shell } = at
  assert.match((await shell.run(['holds', 'ls'])).out, /CS-7F3K\s+pending\s+invoice-agent\s+orders\s+0\/1\s+\S+\s+POST \/v1\/exports/)
  assert.equal((JSON.parse((await shell.run(['holds', 'ls', '-o', 'json'])).out) as { holds: unknown[] }).holds.length, 1)
  assert.equal((await shell.run(['holds', 'ls', '-o', 'name'])).out, 'hold_1\n')
  const hold = makeHold()
  at.desk.holds.set(hold.id, { ...hold, action: { ...hold.action, text: 'POST /v1/exports\nhost: orders.example.org\naccept: */*\n\n{\n  "all": true\n}' } })
  assert.match((await shell.run(['holds', 'ls'])).out, /POST \/v1\/exports \{ "all": true \}\n/)
  at.desk.holds.set(hold.id, hold)
  const none = await shell.run(['holds', 'ls', '--state', 'denied'])
  assert.deepEqual([none.code, none.out], [0, ''])
  const shown = await shell.run(['holds', 'show', 'cs-7f3k'])
  assert.match(shown.out, /Asked by\s+agent invoice-agent/)
  assert.match(shown.out, /\| \{"all":true\}/)
  assert.equal((parse((await shell.run(['holds', 'show', 'hold_1', '-o', 'yaml'])).out) as { action: { text: string } }).action.text, 'POST /v1/exports\n\n{"all":true}')
})

test('what takes a passkey is shown as that, and approved elsewhere', async () => {
  await using at = await begin()
  const hold = makeHold()
  at.desk.holds.set(hold.id, { ...hold, terms: { ...hold.terms, requirements: hold.terms.requirements.map((one) => ({ ...one, assurance: 'passkey' as const, freshLoginMs: 300_000 })) } })
  assert.match((await at.shell.run(['holds', 'show', hold.id])).out, /1 of security, signed with a passkey, signed in again at most 5 min before/)
  const { code, err } = await at.shell.run(['holds', 'approve', hold.id], { terminal: true, type: ['CS-7F3K'] })
  assert.deepEqual([code, at.desk.calls], [5, []])
  assert.match(err, /in the console alone, at \/holds\/hold_1/)
})

const statement = (more: Partial<Hold['action']> = {}): Hold => {
  const hold = makeHold()
  const resources: Hold['action']['resources'] = [
    { kind: 'table', name: 'public.regions', access: 'read', tags: [] },
    { kind: 'table', name: 'public."odd.name"', access: 'write', tags: ['pii'] },
    { kind: 'column', name: 'public."odd.name".email', access: 'read', tags: ['pii'] },
    { kind: 'column', name: 'public."odd.name".city', access: 'read', tags: ['public'] },
    { kind: 'column', name: 'public.regions.id', access: 'read', tags: [] },
    { kind: 'function', name: 'app.refresh', access: 'read', tags: [] },
  ]
  const impact = { estimatedRows: 4800, exactRows: 4712, unfiltered: true, keepsLocks: true, notes: ['the name \u001b[2J is not known'] }
  return { ...hold, waiting: true, action: { ...hold.action, protocol: 'postgres', service: 'crm-db', place: { database: 'crm', role: 'crm_app' }, verb: 'sql.delete', verbs: ['sql.delete', 'sql.select'], resources, tags: ['pii', 'public'], impact, text: 'WITH gone AS (DELETE …', ...more }, terms: { ...hold.terms, drift: { factor: 1.5, rows: 100 } } }
}

const parts: NonNullable<Hold['action']['parts']> = [
  { verb: 'sql.transaction', verbs: ['sql.transaction'], effect: 'read', resources: [], tags: [], facts: {}, text: 'BEGIN' },
  { verb: 'sql.delete', verbs: ['sql.delete'], effect: 'write', resources: [{ kind: 'table', name: 'public.orders', access: 'write', tags: ['pii'] }], tags: ['pii'], facts: {}, text: 'DELETE FROM orders -- \u202e', impact: { exactRows: 3, unfiltered: true, notes: [] } },
  { verb: 'sql.transaction', verbs: ['sql.transaction'], effect: 'read', resources: [], tags: [], facts: {}, text: 'COMMIT' },
]

test('an opinion of a machine is shown as that', async () => {
  await using at = await begin()
  at.desk.holds.set('hold_1', { ...statement(), opinions: [{ advisor: 'risk-model', text: 'APPROVE \u001b[2J' }] })
  assert.match((await at.shell.run(['holds', 'show', 'hold_1'])).out, /A machine's opinion \(risk-model\), which counts for nothing:\n\s*\| APPROVE \\u\{1b\}\[2J/)
})

test('a plan is shown statement by statement', async () => {
  await using at = await begin()
  at.desk.holds.set('hold_1', statement({ parts }))
  const { out } = await at.shell.run(['holds', 'show', 'hold_1'])
  assert.ok(out.includes('What will run, in this order, one by one, all of it or nothing:\n1. sql.transaction\n'), out)
  assert.match(out, /\n2\. sql\.delete; writes public\.orders; ALL 3 rows\n\s*\| DELETE FROM orders -- \\u\{202e\}\n3\. sql\.transaction\n\s*\| COMMIT/)
})

test('show says what a statement would do, where, to what, and how far it may drift', async () => {
  await using at = await begin()
  const { desk, shell } = at
  desk.holds.set('hold_1', statement())
  const show = async (...more: string[]) => (await shell.run(['holds', 'show', 'hold_1', ...more])).out
  const out = await show()
  for (const line of [
    'Action        sql.delete, sql.select on crm-db [pii]', 'Database      crm, as crm_app', 'Writes        public."odd.name" [pii], naming email [pii], city\nReads         public.regions, naming id\nCalls         app.refresh',
    'Rows          4712, counted when it was asked for; the planner said about 4800', 'Which         EVERY ROW', 'Note          the name \\u{1b}[2J is not known', 'Stops         if by then it would change over 1.5 times as many rows, or over 100 rows more', 'owned by olga', 'Client        waits on its connection', 's left)',
  ]) assert.ok(out.includes(line), `${line} in\n${out}`)
  const { action, terms } = JSON.parse(await show('-o', 'json')) as { action: object; terms: object }
  const { impact, verbs, place } = statement().action
  assert.deepEqual([Reflect.get(action, 'impact'), Reflect.get(action, 'verbs'), Reflect.get(action, 'place'), Reflect.get(terms, 'drift')], [impact, verbs, place, { factor: 1.5, rows: 100 }])
  desk.holds.set('hold_1', { ...statement(), history: { alike: { executed: 5, denied: 1 }, others: {}, complete: true, last: { id: 'hold_0', code: 'CS-2222', state: 'denied', openedAt: 0 } } })
  assert.match(await show(), /Before +like this: 5 executed, 1 denied \(the last CS-2222\); other: nothing\n/)
  desk.holds.set('hold_1', { ...statement({ impact: { estimatedRows: 3, unfiltered: false, notes: [] } }), waiting: false })
  assert.match(await show(), /Rows +about 3, says the planner\nWhich +those that its WHERE lets through\n[^]*Client +has gone;/)
  const many = Array.from({ length: 40 }, (_, n): Hold['action']['resources'][number] => ({ kind: n < 25 ? 'table' : 'column', name: n < 25 ? `public.t${n}` : `public.t0.c${n}`, access: 'read', tags: [] }))
  desk.holds.set('hold_1', statement({ impact: { notes: [] }, resources: many }))
  assert.match(await show(), /and 5 more\nRows +nobody can say how many\n/)
})

test('ls says how many rows, and what a statement does that begins with something else', async () => {
  await using at = await begin()
  const line = async (more: Partial<Hold['action']>): Promise<string> => {
    at.desk.holds.set('hold_1', statement(more))
    return (await at.shell.run(['holds', 'ls'])).out.split('\n')[1] ?? ''
  }
  assert.match(await line({}), /  ALL 4712  sql\.delete: WITH gone AS \(DELETE/)
  assert.match(await line({ impact: { estimatedRows: 3, unfiltered: false, notes: [] }, text: 'delete from t' }), /  ~3  +delete from t/)
  assert.match(await line({ impact: { unfiltered: true, notes: [] } }), /  ALL  /)
})

test('a script approves by digest, or by code, and never what it did not name', async () => {
  await using at = await begin()
  const { desk, shell } = at
  const approve = async (...args: string[]) => (await shell.run(['holds', 'approve', ...args])).code
  assert.equal(await approve('hold_1'), 2)
  assert.equal(await approve('hold_1', '--yes'), 2)
  assert.equal(await approve('hold_1', '--yes', '--code', 'CS-AAAA'), 1)
  assert.equal(await approve('hold_1', '--digest', `sha256:${'00'.repeat(32)}`), 1)
  assert.equal(desk.holds.get('hold_1')?.state, 'pending')
  assert.equal(await approve('hold_1', '--digest', digest, '--reason', 'Checked.'), 0)
  assert.equal(desk.holds.get('hold_1')?.votes[0]?.reason, 'Checked.')
  assert.equal(await approve('hold_1', '--digest', digest), 1)
  desk.holds.set('hold_1', makeHold())
  assert.equal(await approve('CS-7F3K', '--yes', '--code', 'CS-7F3K'), 2, 'another action can be made to have this code')
  assert.equal(desk.holds.get('hold_1')?.state, 'pending')
  assert.equal(await approve('hold_1', '--yes', '--code', 'cs-7f3k'), 0)
  desk.holds.set('hold_1', makeHold())
  assert.equal(await approve('CS-7F3K', '--digest', digest), 0)
})

test('at a terminal the code must be typed under the whole action', async () => {
  await using at = await begin()
  const { desk, shell } = at
  const no = await shell.run(['holds', 'approve', 'hold_1'], { terminal: true, type: ['yes'] })
  assert.deepEqual([no.code, desk.holds.get('hold_1')?.state], [1, 'pending'])
  assert.match(no.err, /\| \{"all":true\}/)
  desk.holds.set('hold_1', makeHold({ terms: { ...makeHold().terms, askReason: true } }))
  assert.equal((await shell.run(['holds', 'approve', 'hold_1'], { terminal: true, type: ['Looks right.', 'cs-7f3k'] })).code, 0)
  assert.equal(desk.holds.get('hold_1')?.votes[0]?.reason, 'Looks right.')
})

test('several are shown one after the other; only those whose code is typed go along, and each has its own answer', async () => {
  await using at = await begin()
  const { desk, shell } = at
  const hold = (id: string, code: string, text: string, more: Partial<Hold> = {}): void => void desk.holds.set(id, makeHold({ id, code, action: { ...makeHold().action, text }, ...more }))
  hold('hold_2', 'CS-0002', 'POST /two')
  hold('hold_3', 'CS-0003', 'POST /three')
  hold('hold_4', 'CS-0004', 'POST /four', { state: 'denied' })
  hold('hold_5', 'CS-0005', 'POST /five', { action: { ...makeHold().action, textCut: true } })
  const done = await shell.run(['holds', 'approve', 'hold_2', 'CS-0003', 'hold_4', 'hold_5', '--reason', 'For finance.'], { terminal: true, type: ['cs-0002', 'no', 'CS-0004'] })
  assert.deepEqual([done.code, done.out], [1, 'CS-0002 is approved\n'])
  for (const text of ['POST /two', 'POST /three', 'POST /four']) assert.ok(done.err.includes(text))
  assert.match(done.err, /CS-0005 is longer than can be shown and is left out[^]*CS-0004 was not decided: It is denied/)
  assert.deepEqual(['hold_2', 'hold_3', 'hold_5'].map((id) => desk.holds.get(id)?.state), ['approved', 'pending', 'pending'])
  assert.equal(desk.holds.get('hold_2')?.votes[0]?.reason, 'For finance.')
  for (const args of [['hold_3', 'CS-0003'], ['hold_1', 'hold_3', '--yes', '--code', 'CS-0003'], ['hold_1', 'hold_3', '--digest', digest]]) assert.equal((await shell.run(['holds', 'approve', ...args], { terminal: true, type: ['CS-0003', 'CS-0003'] })).code, 2)
  assert.equal((await shell.run(['holds', 'approve', 'hold_1', 'hold_3'])).code, 2, 'a script approves one after the other')
  assert.equal((await shell.run(['holds', 'approve', 'hold_1', 'hold_3'], { terminal: true, type: ['', ''] })).code, 1)
  assert.deepEqual(['hold_1', 'hold_3'].map((id) => desk.holds.get(id)?.state), ['pending', 'pending'])
  const denied = await shell.run(['holds', 'deny', 'hold_1', 'hold_3', '--reason', 'Not now.'])
  assert.deepEqual([denied.code, denied.out], [0, 'CS-7F3K is denied\nCS-0003 is denied\n'])
})

test('who is behind an action hears why they may not approve it, at a terminal as in a script', async () => {
  await using at = await begin()
  at.desk.holds.set('hold_1', makeHold({ caller: { ...makeHold().caller, onBehalfOf: [person('alice', 'oncall')] } }))
  const asked = await at.shell.run(['holds', 'approve', 'hold_1'], { terminal: true, type: ['CS-7F3K'] })
  assert.equal(asked.code, 5)
  assert.match(asked.err, /\ncountersign: You cannot decide this: invoice-agent asks for it on your behalf\. Nobody decides about what they are behind themselves; somebody else does\.\n$/)
})

test('breaking the glass names exactly what it releases, and asks for a reason', async () => {
  await using at = await begin()
  const { desk, shell } = at
  const release = async (...args: string[]) => (await shell.run(['holds', 'break-glass', ...args])).code
  assert.equal(await release('hold_1', '--reason', 'Down.'), 2)
  assert.equal(await release('CS-7F3K', '--yes', '--code', 'CS-7F3K', '--reason', 'Down.'), 2)
  assert.equal(await release('hold_1', '--digest', `sha256:${'00'.repeat(32)}`), 1)
  const unasked = await shell.run(['holds', 'break-glass', 'hold_1'], { terminal: true, type: ['Down.', 'CS-7F3K'] })
  assert.deepEqual([unasked.code, desk.holds.get('hold_1')?.state], [5, 'pending'])
  assert.match(unasked.err, /You may not release this alone/)
  desk.offers.add('break-glass')
  const other = await shell.run(['holds', 'break-glass', 'hold_1'], { terminal: true, type: ['Down.', 'yes'] })
  assert.deepEqual([other.code, desk.holds.get('hold_1')?.state], [1, 'pending'])
  const done = await shell.run(['holds', 'break-glass', 'hold_1'], { terminal: true, type: ['Incident 4711.', 'cs-7f3k'] })
  assert.deepEqual([done.code, done.out, desk.calls.at(-1)], [0, 'CS-7F3K is approved\n', 'break-glass alice api'])
  assert.match(done.err, /All approvers are told/)
  assert.equal(desk.holds.get('hold_1')?.votes[0]?.reason, 'Incident 4711.')
  desk.holds.set('hold_1', makeHold())
  assert.equal(await release('hold_1', '--digest', digest, '--reason', 'Incident 4711.'), 0)
})

test('handing over and reviewing say to whom, and what', async () => {
  await using at = await begin()
  const { desk, shell } = at
  for (const args of [[], ['--group', 'a', '--to', 'b'], ['--group', 'a', '--issuer', 'b']]) assert.equal((await shell.run(['holds', 'hand-over', 'hold_1', ...args])).code, 2)
  assert.equal((await shell.run(['holds', 'hand-over', 'CS-7F3K', '--group', 'security', '--note', 'Is this new?'])).out, 'CS-7F3K is handed over\n')
  assert.equal((await shell.run(['holds', 'hand-over', 'hold_1', '--to', 'carol'])).code, 0)
  assert.deepEqual(desk.calls.filter((call) => call.startsWith('hand-over')), ['hand-over alice {"group":"security"}', `hand-over alice {"issuer":"${person('alice').issuer}","subject":"carol"}`])
  assert.equal((await shell.run(['holds', 'review', 'hold_1'])).code, 2)
  assert.equal((await shell.run(['holds', 'review', 'hold_1', '--note', 'In order.'])).code, 1)
  desk.holds.set('hold_1', makeHold({ state: 'executed' }))
  assert.equal((await shell.run(['holds', 'review', 'hold_1', '--note', 'In order.'])).out, 'CS-7F3K is reviewed\n')
  assert.deepEqual([(await shell.run(['holds', 'ls', '--review'])).code, desk.calls.includes('list unreviewed')], [0, true])
})

test('show says what happened beside the votes', async () => {
  await using at = await begin()
  const ira = person('ira', 'incident')
  const { terms } = makeHold()
  at.desk.holds.set('hold_1', makeHold({ openedAt: Date.parse('2026-01-14T10:00:00Z'), state: 'executed', terms: { ...terms, requirements: terms.requirements.map((one) => ({ ...one, escalation: { afterMs: 600_000, groups: ['managers'], users: [] } })) }, votes: [{ verdict: 'approve', by: ira, channel: 'cli', assurance: 'console', digest, reason: 'Down \u001b[2J.', brokeGlass: true, at: 3 }], marks: [
    { what: 'escalated', at: 1 }, { what: 'handed-over', at: 2, by: ira, to: { group: 'security' }, note: 'Look \u202e.' }, { what: 'broke-glass', at: Date.parse('2026-01-14T10:05:00Z'), by: ira, reason: 'Down.', skipped: { groups: ['security'], users: [] } }, { what: 'review-overdue', at: 4 },
  ] }))
  const { out } = await at.shell.run(['holds', 'show', 'hold_1'])
  for (const line of ['1 of security (from 2026-01-14T10:10Z on also managers)', 'released alone by ira (ira) (cli): Down \\u{1b}[2J.', 'others may decide, too', 'asks the group security to look: Look \\u{202e}.', 'broke the glass, past security: Down.', 'nobody has reviewed it in time', 'somebody else has to look at it by 2026-01-17T10:05:00.000Z']) assert.ok(out.includes(line), `${line} in\n${out}`)
})

test('what is longer than can be shown is not approved by its text', async () => {
  await using at = await begin()
  const { desk, shell } = at
  desk.holds.set('hold_1', makeHold({ action: { ...makeHold().action, textCut: true } }))
  assert.equal((await shell.run(['holds', 'approve', 'hold_1'], { terminal: true, type: ['CS-7F3K'] })).code, 1)
  assert.equal((await shell.run(['holds', 'approve', 'hold_1', '--yes', '--code', 'CS-7F3K'])).code, 1)
  assert.equal(desk.holds.get('hold_1')?.state, 'pending')
})

test('a code that two holds share must be told apart', async () => {
  await using at = await begin()
  at.desk.holds.set('hold_2', makeHold({ id: 'hold_2' }))
  const { code, err } = await at.shell.run(['holds', 'show', 'CS-7F3K'])
  assert.equal(code, 2)
  assert.match(err, /hold_1, hold_2/)
})

test('deny needs a reason; the exit code says why something was not done', async () => {
  await using at = await begin()
  const { desk, shell } = at
  assert.equal((await shell.run(['holds', 'deny', 'hold_1'])).code, 2)
  const as = async (token: string | undefined, ...argv: string[]) => (await shell.run(argv, { env: { COUNTERSIGN_TOKEN: token ?? '' } })).code
  assert.equal(await as('agent', 'holds', 'approve', 'hold_1', '--digest', digest), 5)
  assert.equal(await as('olga', 'holds', 'approve', 'hold_1', '--digest', digest), 5)
  assert.equal(await as('nobody', 'holds', 'ls'), 7)
  assert.equal(await as(undefined, 'holds', 'ls'), 7)
  assert.equal(await as('alice', 'holds', 'show', 'hold_9'), 1)
  assert.equal(desk.holds.get('hold_1')?.state, 'pending')
  assert.equal(await as('alice', 'holds', 'deny', 'hold_1', '--reason', 'Use the masked view.'), 0)
  desk.holds.set('hold_1', makeHold())
  assert.equal(await as('agent', 'holds', 'withdraw', 'hold_1'), 0)
})

test('text of an agent moves no cursor, hides nothing and fakes no line of ours', async () => {
  await using at = await begin()
  const { desk, shell } = at
  const hostile = 'DROP\u001b[2J\u009b31m \u202eevil\u2066 \u200b\r\nDigest        sha256:fake\u0007'
  desk.holds.set('hold_1', makeHold({ statedReason: hostile, action: { ...makeHold().action, text: hostile, service: hostile } }))
  for (const argv of [['ls'], ['ls', '-o', 'json'], ['ls', '-o', 'yaml'], ['ls', '-o', 'jsonl'], ['show', 'hold_1'], ['show', 'hold_1', '-o', 'json'], ['show', 'hold_1', '-o', 'yaml']]) {
    const { out, code } = await shell.run(['holds', ...argv])
    assert.equal(code, 0)
    assert.doesNotMatch(out, /[^\P{Cc}\n]|\p{Cf}/u, argv.join(' '))
  }
  assert.equal((JSON.parse((await shell.run(['holds', 'show', 'hold_1', '-o', 'json'])).out) as { action: { text: string } }).action.text, hostile)
  const { out } = await shell.run(['holds', 'show', 'hold_1'])
  assert.equal(out.split('\n').filter((line) => line.startsWith('Digest')).length, 1)
})

test('watch prints changes as they come, until it is interrupted', async () => {
  await using at = await begin()
  const { desk, shell } = at
  const lines = shell.start(['holds', 'watch', '-o', 'jsonl'])
  const people = shell.start(['holds', 'watch'])
  await until('the table to show what waits', () => people.result.out.includes('CS-7F3K'))
  await until('the streams to carry', () => {
    desk.change('hold_1', 'pending')
    return lines.result.out.includes('\n') && people.result.out.split('\n').length > 2
  })
  lines.interrupt()
  people.interrupt()
  const { code, out } = await lines.done
  assert.equal(code, 130)
  assert.equal((JSON.parse(out.split('\n')[0] ?? '') as { id: string }).id, 'hold_1')
  await people.done
})

test('a token goes to https or to this machine, and follows no redirect', async () => {
  await using at = await begin()
  const { shell } = at
  assert.equal((await shell.run(['holds', 'ls', '--server', 'http://approvals.example.org'])).code, 2)
  assert.equal((await shell.run(['holds', 'ls', '--server', 'http://127.0.0.1.example.org'])).code, 2)

  const tokens: (string | undefined)[] = []
  const elsewhere = createServer((request, response) => {
    tokens.push(request.headers.authorization)
    response.end('{"holds":[]}')
  })
  const redirecting = createServer((_request, response) => response.writeHead(307, { location: `http://127.0.0.1:${portOf(elsewhere)}/` }).end())
  for (const server of [elsewhere, redirecting]) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    assert.equal((await shell.run(['holds', 'ls', '--server', `http://127.0.0.1:${portOf(redirecting)}`])).code, 1)
    assert.deepEqual(tokens, [])
  } finally {
    for (const server of [elsewhere, redirecting]) server.close()
  }
})
