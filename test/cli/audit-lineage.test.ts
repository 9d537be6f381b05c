import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { openJournal } from '../../src/audit/file-journal.ts'
import { options, temporaryDirectory } from '../audit/audit-samples.ts'
import { day, ran, callerOf, statement } from '../audit/lineage-story.ts'
import { auditLog } from '../channels/web/audit-log.ts'
import { person, startDesk } from '../channels/web/hold-desk.ts'
import { makeShell } from './shell.ts'

test('audit lineage prints who touched what and who said yes, as a tree', async () => {
  using place = temporaryDirectory()
  await using shell = await makeShell()
  {
    await using journal = await openJournal(options(place.path), { now: () => Date.UTC(2026, 0, 1, 12) })
    for (const event of [...day(), ...ran(callerOf('\u202Eagent', 'agent', 's-x'), statement('sql.select', { '\u001b[2Jtable': 'read' }))]) await journal.append(event, 'written')
  }
  const lineage = (...more: string[]) => shell.run(['audit', 'lineage', '-d', place.path, ...more])
  const tree = (await lineage('--approver', 'bob')).out
  assert.equal(tree.replaceAll(/r1\/1\/\d+/g, 'ID'), [
    'invoice-agent (agent at https://login.example.org) for alice',
    '├─ sql.delete public.orders  1 executed  2026-01-01T12:00  ID',
    '│  ├─ writes public.orders (status), at least',
    '│  └─ yes by bob (ID)',
    '└─ http.POST /v1/orders/*/refund  2 executed  2026-01-01T12:00  ID',
    '   ├─ writes /v1/orders/*/refund',
    '   └─ yes by bob, 2 times (ID)',
    '',
  ].join('\n'))
  assert.match((await lineage('--who', '=report-agent')).out, /May have flowed: [^]*\n {2}public\.customers -> reports\.daily {2}in session s-report-1 \(r1\/1\/\d+, r1\/1\/\d+\)/)
  assert.match((await lineage('--on', 'hr.salaries')).out, /1 refused, did not run/)
  const hostile = (await lineage('--on', '2jtable')).out
  assert.ok(!hostile.includes('\u001b') && !hostile.includes('\u202e') && hostile.includes('\\u{202e}agent'))
  assert.match((await lineage('--who', 'alice', '--for', 'alice')).err, /Nothing is found/)
  assert.match((await lineage('--for', 'alice', '--connected-with', 'reports.daily')).out, /^alice -> carol {2}invoice-agent: sql\.update .*\ncarol -> reports\.daily {2}carol: sql\.select/)
  assert.ok('edges' in (JSON.parse((await lineage('-o', 'json')).out) as object))
  for (const args of [['--from', 'yesterday'], ['--who', '--', '-'], ['--connected-with', 'x'], ['--tag', 'pii']]) assert.equal((await lineage(...args)).code, 2, args.join(' '))
})

test('a server draws it with the rights of whoever asks', async () => {
  await using log = await auditLog(['auditors'])
  await using desk = await startDesk({}, undefined, log.desk)
  await using shell = await makeShell()
  desk.tokens.set('carol', person('carol', 'auditors'))
  const ask = (token: string, ...more: string[]) => {
    const file = `${log.directory}/${token}`
    writeFileSync(file, token)
    chmodSync(file, 0o600)
    return shell.run(['audit', 'lineage', '--server', desk.url, '--token-file', file, '--from', '7d', ...more])
  }
  assert.match((await ask('carol', '--who', 'invoice-agent')).out, /^invoice-agent \(agent at https:\/\/idp\.test\) for alice\n└─ http\.POST \/v1\/orders {2}1 executed, 1 held .*\n {3}├─ writes \/v1\/orders\n {3}└─ yes by Bob \(r1\/1\/2\)\n$/)
  assert.match((await ask('carol', '--for', 'alice', '--connected-with', 'Bob')).out, /^alice -> Bob {2}/)
  assert.equal((await ask('dave')).code, 5)
})
