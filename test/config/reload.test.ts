import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import { loadConfig } from '../../src/config/load.ts'
import { compilePolicies } from '../../src/config/policies.ts'
import { type Loaded, makeReload } from '../../src/config/reload.ts'
import { sameness } from '../../src/config/restart.ts'
import { configText, type Folder, makeFolder, policyText } from './folder.ts'

const start = async (folder: Folder, text = configText()) => {
  const { config, files } = await folder.load(text)
  assert.ok(config)
  const { policies } = compilePolicies(config)
  assert.ok(policies)
  const adopted: Loaded[] = []
  const rejections: (readonly string[])[] = []
  const failing: { error?: Error } = {}
  const reload = makeReload({ config: withApprovalKey(config), policies, files }, {
    load: () => loadConfig(join(folder.path, 'countersign.yaml'), {}),
    adopt: async (next) => {
      if (failing.error) throw failing.error
      adopted.push(next)
    },
    rejected: async (problems) => void rejections.push(problems),
  })
  return { reload, adopted, rejections, failing, version: policies.version }
}

test('a mistake keeps the whole old set and is visible until it is mended', async () => {
  using folder = makeFolder()
  const { reload, adopted, rejections, version } = await start(folder)
  const mistakes: readonly (() => void)[] = [
    () => folder.write('countersign.yaml', ''),
    () => folder.write('countersign.yaml', configText().slice(0, -20)),
    () => rmSync(join(folder.path, 'countersign.yaml')),
    () => folder.write('countersign.yaml', configText('unknown_key: 1\n')),
    () => (folder.write('countersign.yaml', configText()), folder.write('policies/orders.yaml', policyText.replace('then: allow', 'then: alow'))),
    () => folder.write('policies/orders.yaml', ''),
    () => rmSync(join(folder.path, 'policies'), { recursive: true }),
  ]
  for (const [index, mistake] of mistakes.entries()) {
    mistake()
    const outcome = await reload.run()
    assert.deepEqual([outcome.applied, outcome.policyVersion, adopted.length, rejections.length], [false, version, 0, index + 1], String(mistake))
    assert.ok(outcome.problems.length > 0)
    assert.deepEqual([reload.state().generation, reload.state().policyVersion], [1, version])
    assert.ok(reload.state().lastProblems.length > 0)
  }
  folder.write('policies/orders.yaml', policyText.replace('/v1/**', '/v2/**'))
  const mended = await reload.run()
  assert.equal(mended.applied, true)
  assert.notEqual(mended.policyVersion, version)
  assert.deepEqual([adopted.length, reload.state().generation, reload.state().lastProblems.length], [1, 2, 0])
})

test('what has not changed is not taken over again', async () => {
  using folder = makeFolder()
  const { reload, adopted } = await start(folder)
  assert.equal((await reload.run()).applied, true)
  assert.deepEqual([adopted.length, reload.state().generation], [0, 1])
})

test('who is in a group is taken over, and nothing else needs to have changed', async () => {
  using folder = makeFolder()
  const members = (list: string): string => configText(`members: { oncall: [${list}] }\n`)
  const { reload, adopted, version } = await start(folder, members('{ issuer: corp, subject: alice }'))
  folder.write('countersign.yaml', members(''))
  assert.deepEqual([(await reload.run()).applied, adopted.length, adopted[0]?.config.members.get('oncall')?.size], [true, 1, 0])
  assert.equal(adopted[0]?.policies.version, version)
})

test('a certificate that was renewed in place is taken over', async () => {
  using folder = makeFolder()
  folder.write('ca.pem', 'one')
  const { reload, adopted } = await start(folder, configText('', ', ca-file: ca.pem'))
  folder.write('ca.pem', 'two')
  assert.equal((await reload.run()).applied, true)
  assert.equal(adopted.length, 1)
})

test('what needs a restart is told, and then nothing else is taken over either', async () => {
  using folder = makeFolder()
  const { reload, adopted } = await start(folder)
  for (const [more, path] of [
    ['listeners: { http: { address: "127.0.0.1:8090" } }\n', /countersign\.yaml:6:14 listeners\.http\.address|listeners\.http\.address/],
    ['listeners: { console: { address: "127.0.0.1:8090" } }\n', /listeners\.console/],
    ['store: { kind: embedded, path: ./other.db }\n', /store/],
    ['journal: { directory: ./other }\n', /journal/],
    ['replica: other\n', /replica/],
    ['data: ./other\n', /data/],
    ['approvals: { open-per-caller: 3 }\n', /approvals/],
    ['sinks: { out: { kind: stdout } }\n', /sinks/],
  ] as const) {
    folder.write('countersign.yaml', configText(more, ', labels: { environment: production }'))
    const { applied, problems } = await reload.run()
    assert.equal(applied, false, more)
    assert.match(problems.join('\n'), path)
    assert.match(problems.join('\n'), /needs a restart/)
  }
  assert.equal(adopted.length, 0)
  folder.write('countersign.yaml', configText('', ', labels: { environment: production }'))
  assert.equal((await reload.run()).applied, true)
})

test('a set that cannot be taken over leaves the old one', async () => {
  using folder = makeFolder()
  const { reload, failing, adopted } = await start(folder)
  folder.write('countersign.yaml', configText('', ', labels: { a: b }'))
  failing.error = new Error('no memory')
  assert.match((await reload.run()).problems.join(), /no memory/)
  delete failing.error
  assert.equal((await reload.run()).applied, true)
  assert.equal(adopted.length, 1)
})

test('reloads that come together run one after the other, and the last sees the last text', async () => {
  using folder = makeFolder()
  const { reload, adopted } = await start(folder)
  const first = reload.run()
  folder.write('countersign.yaml', configText('', ', labels: { a: "1" }'))
  await Promise.all([first, ...Array.from({ length: 20 }, () => reload.run())])
  assert.equal(adopted.at(-1)?.config.policyFacts.services[0]?.labels['a'], '1')
  assert.ok(adopted.length <= 2)
})

test('the key that the first start made is used again, and by a reload whatever became of its file', async () => {
  using folder = makeFolder()
  const config = await folder.config(configText())
  const [key] = withApprovalKey(config).approval.keys
  assert.match(key?.reveal() ?? '', /^[0-9a-f]{64}$/)
  assert.equal(withApprovalKey(config).approval.keys[0]?.reveal(), key?.reveal())
  folder.write('data/approval.key', 'x')
  assert.throws(() => withApprovalKey(config), /no key that was made here/)
})

test('another secret is another configuration', async () => {
  using folder = makeFolder()
  const text = configText('', ', credential: { bearer: "${env:TOKEN}" }')
  const [one, same, other] = [await folder.config(text, { TOKEN: 'a' }), await folder.config(text, { TOKEN: 'a' }), await folder.config(text, { TOKEN: 'b' })]
  assert.equal(sameness(one), sameness(same))
  assert.notEqual(sameness(one), sameness(other))
})
