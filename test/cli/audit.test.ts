import assert from 'node:assert/strict'
import { appendFileSync, readdirSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { action, caller, finished, open, started, temporaryDirectory } from '../audit/audit-samples.ts'
import { until } from '../support/until.ts'
import { makeShell } from './shell.ts'

const hold = { hold: 'hold_1', code: 'CS-7F3K', digest: action.digest }
const hostile = '\x1b[2J\u202eevil\nsecond line'

const fill = async (directory: string): Promise<void> => {
  await using journal = await open(directory, { segmentBytes: 4_000 })
  const events: AuditEvent[] = [
    { type: 'decided', attempt: 'try-1', caller, action, decision: { verdict: 'hold', matched: [], policyVersion: 'v' } },
    { type: 'held', attempt: 'try-1', caller, action, ...hold, deadline: 1, terms: { requirements: [], withinMs: 1, runWithinMs: 1, askReason: false, run: 'attached' } },
    ...Array.from({ length: 20 }, (_, n) => started(`other-${n}`)),
    { type: 'voted', ...hold, state: 'approved', vote: { verdict: 'approve', by: { issuer: 'i', subject: 'bob', kind: 'human', groups: [] }, channel: 'console', assurance: 'console', digest: action.digest, reason: hostile, at: 1 } },
    started('try-1', 'hold_1'),
    finished('try-1'),
  ]
  for (const event of events) await journal.append(event, 'written')
}

describe('audit', () => {
  test('tail prints the last records in order, over segments, with strangers’ text made harmless', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path)
    const { out, code } = await shell.run(['audit', 'tail', '-n', '10', '--directory', directory.path])
    assert.equal(code, 0)
    const lines = out.trim().split('\n')
    assert.deepEqual(lines.map((line) => line.split(' ')[1]), Array.from({ length: 10 }, (_, n) => `r1/1/${n + 15}`))
    assert.match(out, /^[\x20-\x7e\n…]*$/)
    assert.match(out, /voted .*by=bob .*second line/)
    const json = await shell.run(['audit', 'tail', '-n', '3', '-o', 'json', '--directory', directory.path])
    assert.equal(JSON.parse(json.out.split('\n')[0]!).vote.reason, hostile)
  })

  test('show finds the whole case by the code, the hold or the try', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path)
    for (const word of ['CS-7F3K', 'hold_1', 'try-1']) {
      const { out } = await shell.run(['audit', 'show', word, '--directory', directory.path])
      assert.deepEqual(out.trim().split('\n').map((line) => line.split(' ')[2]), ['decided', 'held', 'voted', 'started', 'finished'])
    }
    assert.equal((await shell.run(['audit', 'show', 'nothing', '--directory', directory.path])).code, 1)
  })

  test('-f goes on, over new segments, and ends when interrupted', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path)
    const running = shell.start(['audit', 'tail', '-f', '-n', '0', '--directory', directory.path])
    await using journal = await open(directory.path, { segmentBytes: 2_000 })
    await until('the first', async () => {
      await journal.append(finished('beat'), 'written')
      return running.result.out.includes('beat')
    })
    for (let n = 0; n < 20; n++) await journal.append(started(`new-${n}`), 'written')
    await until('the last', () => running.result.out.includes('new-19'))
    running.interrupt()
    assert.equal((await running.done).code, 0)
    const seen = [...running.result.out.matchAll(/attempt=(new-\d+)/g)].map((match) => match[1])
    assert.deepEqual(seen, Array.from({ length: 20 }, (_, n) => `new-${n}`))
  })

  test('a damaged line neither stops it nor reaches the terminal', async () => {
    using directory = temporaryDirectory()
    await using shell = await makeShell()
    await fill(directory.path)
    const wal = `${directory.path}/r1/wal`
    appendFileSync(`${wal}/${readdirSync(wal).sort().at(-1)}`, `${hostile}\n`)
    for (const format of ['json', 'table']) {
      const { out } = await shell.run(['audit', 'tail', '-o', format, '--directory', directory.path])
      assert.match(out, /^[\x20-\x7e\n…]*$/)
      assert.match(out, /damaged|does not read/)
    }
  })

  test('says what is missing', async () => {
    await using shell = await makeShell()
    assert.equal((await shell.run(['audit', 'tail'])).code, 2)
    assert.equal((await shell.run(['audit', 'tail', '--directory', '/nowhere/at/all'])).code, 1)
  })
})
