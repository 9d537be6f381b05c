import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem } from '../../src/lib/problem.ts'
import { configText, makeFolder } from './folder.ts'

const env = { PASSWORD: 'a/b' }
const text = (index: string): string => configText(`audit: { index: { postgres: { ${index} } } }\n`)

test('audit.index: a database by its URL, the password a reference, and never over the network unchecked without a word', async () => {
  using folder = makeFolder()
  const { auditIndex } = await folder.config(text('url: "postgres://audit:${env:PASSWORD}@db.test/audit?sslmode=verify-full"'), env)
  assert.deepEqual([auditIndex?.url.reveal(), auditIndex?.schema], ['postgres://audit:a%2Fb@db.test/audit?sslmode=verify-full', 'countersign_audit'])
  assert.equal((await folder.config(configText(''), env)).auditIndex, undefined)
  for (const [index, pattern] of [
    ['url: "postgres://audit:secret@db.test/audit"', /holds a password/],
    ['url: "redis://db.test"', /no PostgreSQL URL/],
    ['url: "postgres://169.254.169.254/audit"', /link-local/],
    ['schema: "a-b", url: "postgres://db.test/x"', /schema/],
    ['schema: x', /url/],
  ] as const) assert.match((await folder.problems(text(index), env)).join(' '), pattern)
  const warned = async (index: string): Promise<string> => {
    const loaded = await folder.load(text(index), env)
    assert.ok(loaded.config !== undefined)
    return loaded.warnings.map(formatProblem).join(' ')
  }
  assert.match(await warned('url: "postgres://audit@db.test/audit"'), /without a check of who answers/)
  for (const index of ['url: "postgres://audit@127.0.0.1/audit"', 'url: "postgres://audit@db.test/audit?sslmode=verify-full"']) assert.equal(await warned(index), '')
})
