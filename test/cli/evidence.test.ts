import assert from 'node:assert/strict'
import { appendFileSync, cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { drawOf } from '../../src/cli/evidence/sample.ts'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import type { Config } from '../../src/config/config.ts'
import { csvLine } from '../../src/cli/evidence/pack-folder.ts'
import { configText, makeFolder } from '../config/folder.ts'
import { fillAll, laws, lawsVersion, otherVersion } from './evidence-log.ts'
import { makeShell } from './shell.ts'

interface Exception { readonly kind: string; readonly name: string; readonly text: string }
type Row = Readonly<Record<string, unknown>> & { readonly name: string; readonly state: string; readonly end: string }

describe('evidence', { concurrency: 1 }, () => {
  let folder: ReturnType<typeof makeFolder>
  let config: Config
  let shell: Awaited<ReturnType<typeof makeShell>>
  let out: string
  let keys: string
  before(async () => {
    folder = makeFolder()
    config = withApprovalKey(await folder.config(configText()))
    await fillAll(config)
    shell = await makeShell({ COUNTERSIGN_CONFIG: join(folder.path, 'countersign.yaml') })
    out = join(shell.home, 'pack')
    keys = join(shell.home, 'auditor.keys')
    writeFileSync(keys, (await shell.run(['audit', 'key'])).out)
    const made = await shell.run(['evidence', '--from', '2026-10-05', '--to', '2026-11-01', '--framework', 'soc2', '--seed', 'auditor 4711', '--out', out, '--directory', config.journal.directory])
    assert.equal(made.code, 0, made.err + made.out)
    assert.match(made.err, /Reading 4 logs[^]*records; gathering[^]*cases; proving[^]*exceptions, \d+ of them to be answered/)
  })
  after(async () => {
    await shell?.[Symbol.asyncDispose]()
    folder?.[Symbol.dispose]()
  })

  const read = (name: string): string => readFileSync(join(out, name), 'utf8')
  const rows = (): readonly Row[] => read('population/cases.ndjson').trimEnd().split('\n').map((line) => JSON.parse(line) as Row)
  const exceptions = (): readonly Exception[] => read('exceptions.ndjson').trimEnd().split('\n').map((line) => JSON.parse(line) as Exception)
  const verifyManifest = () => shell.run(['receipt', 'verify', join(out, 'manifest.dsse.json'), '--key', keys])

  test('an auditor who has the folder and the keys checks all of it', async () => {
    const manifest = await verifyManifest()
    assert.deepEqual([manifest.code, /all \d+ are here and unchanged/.test(manifest.out), /evidence\/1\/0/.test(manifest.out)], [0, true, true], manifest.out)
    const records = readdirSync(join(out, 'records')).map((name) => join(out, 'records', name))
    const log = await shell.run(['audit', 'verify', ...records, '--key', keys])
    assert.equal(log.code, 0, log.out)
    const cases = readdirSync(join(out, 'sample'))
    assert.ok(cases.length > 20)
    for (const name of cases) {
      const place = join(out, 'sample', name)
      const receipt = await shell.run(['receipt', 'verify', join(place, 'receipt.json'), '--key', keys, '--records', join(place, 'records.ndjson')])
      // A receipt of what should never have been is signed, and says so.
      assert.equal(receipt.code, name === 'hold_own' ? 21 : 0, `${name}: ${receipt.out}`)
      const proofs = readdirSync(place).filter((file) => file.endsWith('.tlog-proof'))
      assert.equal(proofs.length, read(`sample/${name}/records.ndjson`).trimEnd().split('\n').length, 'every record is proved')
      for (const proof of proofs) assert.equal((await shell.run(['audit', 'verify', '--proof', join(place, proof), join(place, proof.replace('.tlog-proof', '.json')), '--key', keys])).code, 0, proof)
    }
    assert.match((await shell.run(['receipt', 'verify', join(out, 'sample', 'hold_late', 'receipt.json'), '--key', keys])).out, /ATTENTION: it was started once, and no start was permitted/)
  })

  test('the population has each action once, as it stood, and the counts reconcile with the records', () => {
    const states = Object.groupBy(rows(), ({ state }) => state)
    assert.deepEqual(Object.fromEntries(Object.entries(states).map(([state, own]) => [state, own?.length])), { approved: 19, allowed: 1, 'denied by a rule': 1, denied: 1, expired: 2, withdrawn: 1, open: 1 })
    const ends = Object.groupBy(rows().filter(({ state }) => state === 'approved'), ({ end }) => end)
    assert.deepEqual(Object.fromEntries(Object.entries(ends).map(([end, own]) => [end, own?.length])), { executed: 16, failed: 1, unknown: 1, 'not executed': 1 })
    assert.equal(rows().find(({ name }) => name === 'hold_shared')?.end, 'executed', 'what was asked at one replica and ran at another is one case')
    assert.equal(rows().some(({ name }) => name === 'hold_old' || name === 'hold_carried'), false)
    const counts = JSON.parse(read('counts.json')) as { readonly carriedOver: number; readonly cases: number; readonly equations: readonly { readonly holds: boolean; readonly left: number }[] }
    assert.deepEqual([counts.cases, counts.carriedOver, counts.equations.every(({ holds }) => holds), counts.equations.length], [26, 1, true, 7])
    const lines = read('population/cases.csv').split('\n')
    assert.equal(lines.length, 1 + 26 + 1)
    const bad = lines.find((line) => line.includes('hold_x1')) ?? ''
    assert.ok(bad.includes(`"'=HYPERLINK(""http://x"",""y"")`), bad)
    assert.doesNotMatch(read('population/cases.csv'), /(?:^|,)"[=+@\t-]/m)
  })

  test('no cell is a formula to a spreadsheet, also behind a new line or in full width', () => {
    for (const cell of ['=1', '+1', '-1', '@x', '\t=1', '\r=1', '\n=1', '|x', '%x', '\uFF1D1', '\uFF0B1', '\uFF0D1', '\uFF20x']) assert.equal(csvLine([cell]), `"'${cell}"`, JSON.stringify(cell))
    assert.equal(csvLine([-1, 'a=1', undefined]), '"-1","a=1",""')
  })

  test('every exception is found, and nothing else is called one', () => {
    const kinds = Object.groupBy(exceptions(), ({ kind }) => kind)
    const names = (kind: string): readonly string[] => (kinds[kind] ?? []).map(({ name }) => name).toSorted()
    assert.deepEqual(Object.keys(kinds).toSorted(), ['approvals without reading', 'approved by who asked', 'broke glass', 'configuration refused', 'credential not returned', 'effect without permission', 'outcome unknown', 'reading refused', 'records lost', 'review overdue', 'self-approval tried', 'store tampered'])
    assert.deepEqual(names('effect without permission'), ['CS-LATE'])
    assert.deepEqual(names('approved by who asked'), ['CS-OWN'])
    assert.deepEqual(names('credential not returned'), ['CS-KEPT'])
    assert.deepEqual(names('outcome unknown'), ['CS-LOST'])
    assert.deepEqual([names('broke glass'), names('review overdue')], [['CS-GLASS'], ['CS-GLASS']])
    assert.deepEqual((kinds['self-approval tried'] ?? []).map(({ name, text }) => `${name} ${text}`), ['CS-SELF alice tried: POST /v1/orders at orders, asked by invoice-agent'])
    assert.deepEqual(names('approvals without reading'), ['dave'])
    assert.deepEqual(names('store tampered').length + names('records lost').length, 2)
  })

  test('the sample is the one that the seed draws', () => {
    const held = rows().filter(({ state }) => !state.includes('by a rule') && state !== 'allowed').map(({ name }) => name)
    const drawn = held.toSorted((a, b) => (drawOf('auditor 4711', a) < drawOf('auditor 4711', b) ? -1 : 1)).slice(0, 25)
    assert.deepEqual(readdirSync(join(out, 'sample')).filter((name) => name.startsWith('hold_')).toSorted(), drawn.toSorted())
  })

  test('policies have their texts as far as they are kept, and what is not is named', () => {
    assert.equal(read(`policies/${lawsVersion.slice(7, 39)}/1-orders.yaml`), laws.policyFiles[0]?.text)
    assert.deepEqual(readdirSync(join(out, 'policies')), [lawsVersion.slice(7, 39)], 'what somebody called after another version is not in the pack')
    const { loaded, textsMissing } = JSON.parse(read('policies.json')) as { readonly loaded: readonly { readonly version: string }[]; readonly textsMissing: readonly string[] }
    assert.deepEqual([textsMissing, loaded.map(({ version }) => version)], [[otherVersion], [otherVersion, lawsVersion, lawsVersion, lawsVersion]])
    assert.match(read('report.html'), /The texts of 1 of 2 are in policies\//)
  })

  test('the report stands alone: no script, nothing from elsewhere, strangers are text, and it promises nothing', () => {
    const page = read('report.html')
    assert.doesNotMatch(page, /<script|<img|<iframe|<link|javascript:|https?:\/\/(?!idp\.test)[^"'\s<]*["']/i)
    assert.match(page, /default-src 'none'; style-src 'sha256-/)
    assert.doesNotMatch(page, /\u202e/)
    assert.match(page, /&lt;script&gt;/)
    assert.doesNotMatch(page.replaceAll(/<style>[^]*?<\/style>/g, ''), /\bcomplian|\bcertif|\bcompliant/i)
    assert.match(page, /Produces evidence for controls of SOC 2/)
    for (const kind of ['effect without permission', 'self-approval tried', 'broke glass']) assert.ok(page.toLowerCase().includes(kind), kind)
    assert.ok(page.indexOf('Effect without permission') < page.indexOf('id="counts"'), 'exceptions come first')
    assert.doesNotMatch(read('README.md'), /complian/i)
  })

  test('that a pack was made is on record, with who made it', async () => {
    const found = await shell.run(['audit', 'show', 'evidence/1/0', '-o', 'json', '--directory', config.journal.directory])
    const record = JSON.parse(found.out) as { type: string; query: string; by: { issuer: string } }
    assert.deepEqual([record.type, record.query, record.by.issuer.startsWith('host:')], ['audit-read', 'evidence soc2 from=2026-10-05T00:00:00.000Z to=2026-11-01T00:00:00.000Z', true])
    assert.equal((await shell.run(['audit', 'verify', '--directory', config.journal.directory])).code, 0)
    const more = join(shell.home, 'off')
    const off = await shell.run(['evidence', '--from', '2026-10-05', '--to', '2026-10-06', '--framework', 'nist', '--off-record', '--out', more, '--directory', config.journal.directory])
    assert.equal(off.code, 0, off.err)
    assert.match((await shell.run(['receipt', 'verify', join(more, 'manifest.dsse.json'), '--key', keys])).out, /not on record/)
  })

  test('a file that is changed, gone or new shows, whoever did it', async () => {
    const changed = read('counts.json')
    writeFileSync(join(out, 'counts.json'), changed.replace('19', '17'))
    assert.deepEqual([(await verifyManifest()).code, /NOT OK {2}changed {4}counts\.json/.test((await verifyManifest()).out)], [10, true])
    writeFileSync(join(out, 'counts.json'), changed)
    renameSync(join(out, 'README.md'), join(out, 'READYOU.md'))
    assert.match((await verifyManifest()).out, /missing {4}README\.md[^]*added {6}READYOU\.md/)
    renameSync(join(out, 'READYOU.md'), join(out, 'README.md'))
    assert.equal((await verifyManifest()).code, 0)
    assert.equal((await shell.run(['receipt', 'verify', join(out, 'manifest.dsse.json'), '--key', (await shell.run(['audit', 'key'])).out.split('\n')[0] ?? ''])).code, 2, 'the key of the log is not that of receipts')
  })

  test('a log that was changed makes a pack that says so, and a pack is made once', async () => {
    const copy = join(shell.home, 'copy')
    cpSync(config.journal.directory, copy, { recursive: true })
    const wal = join(copy, 'b', 'wal')
    const file = join(wal, readdirSync(wal)[0] ?? '')
    writeFileSync(file, readFileSync(file, 'utf8').replace('"verdict":"approve"', '"verdict":"deny"'))
    const other = join(shell.home, 'other')
    const make = (...more: readonly string[]) => shell.run(['evidence', '--from', '2026-10-05', '--to', '2026-11-01', '--framework', 'iso27001', '--out', other, '--directory', copy, ...more])
    const made = await make()
    assert.equal(made.code, 10, made.err)
    assert.match(readFileSync(join(other, 'exceptions.ndjson'), 'utf8'), /"kind":"log not whole".*b: changed/)
    assert.match(readFileSync(join(other, 'report.html'), 'utf8'), /the log is not whole/)
    assert.deepEqual([(await make()).code, /is not empty/.test((await make()).err)], [1, true])
    rmSync(other, { recursive: true })
    // What somebody made of the files does not end the making: lines twice, values that are none, names that no folder has.
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    const odd = lines.map((line) => line.replaceAll('hold_back', '../../back').replaceAll('"CS-OPEN"', '{}').replace(/"at":\d+/, '"at":1e300').replace('"verdict":"hold"', '"verdict":7'))
    writeFileSync(file, `${[...odd, ...odd.slice(3, 9)].join('\n')}\n`)
    appendFileSync(file, 'no record\n')
    const strange = await make('--sample', '100')
    assert.deepEqual([strange.code, /fault/.test(strange.err)], [10, false], strange.err)
    assert.deepEqual(readdirSync(join(other, 'sample')).filter((name) => name.includes('back')), ['c.._.._back'])
    assert.equal((await shell.run(['receipt', 'verify', join(other, 'manifest.dsse.json'), '--key', keys])).code, 0)
    for (const [args, code] of [[['--from', '2026-10-05'], 2], [['--from', '2026-11-05', '--to', '2026-10-05', '--framework', 'pci', '--out', 'x'], 2], [['--from', '2020-01-01', '--to', '2020-01-02', '--framework', 'pci', '--out', 'x'], 1], [['--from', '1d', '--framework', 'gdpr', '--out', 'x'], 2], [['--from', '2026-10-05', '--framework', 'pci', '--out', 'y', '--sample', '0'], 2]] as const) assert.equal((await shell.run(['evidence', ...args, '--directory', config.journal.directory])).code, code, args.join(' '))
    assert.equal(existsSync(join(out, '.cases.db')), false)
  })
})
