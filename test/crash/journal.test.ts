import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { emptyHash, leafHash } from '../../src/lib/leaf-hash.ts'
import { open, readAll, temporaryDirectory } from '../audit/audit-samples.ts'

const budgetMs = 8_000
const leastCycles = 3

/** Starts the writers, lets them run until they acknowledged some records, and kills them where they stand. */
const runAndKill = async (directory: string, run: number): Promise<string[]> => {
  const child = spawn(process.execPath, [`${import.meta.dirname}/journal-program.ts`, directory, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const enough = 1 + Math.floor(Math.random() * 3_000)
  let text = ''
  let seen = 0
  child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
    seen += chunk.split('\n').length - 1
    if (seen >= enough) child.kill('SIGKILL')
  })
  const [code] = await once(child, 'close')
  assert.equal(code, null, 'the program ended by itself')
  return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').slice(0, -1)
}

describe('killed while it writes', () => {
  test('no record that was acknowledged as synced is ever missing, and every start chains on', async () => {
    using directory = temporaryDirectory()
    const acknowledged: string[] = []
    const end = Date.now() + budgetMs
    let cycles = 0
    for (; cycles < leastCycles || (Date.now() < end && cycles < 25); cycles++) acknowledged.push(...(await runAndKill(directory.path, cycles)))
    await using journal = await open(directory.path)
    const all = await readAll(journal, 1_000_000)
    const recorded = new Set(all.filter(({ type }) => type === 'started').map(({ attempt }) => attempt))
    assert.deepEqual(acknowledged.filter((attempt) => !recorded.has(attempt)), [])
    assert.ok(acknowledged.length > 0)
    // Each start closed what the one before left open, once.
    const closed = all.filter(({ type }) => type === 'outcome-unknown').map(({ attempt }) => attempt)
    assert.equal(new Set(closed).size, closed.length)
    assert.deepEqual(new Set(closed), recorded)
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length)
    let prev = emptyHash
    const wal = `${directory.path}/r1/wal`
    for (const line of readdirSync(wal).sort().flatMap((name) => readFileSync(`${wal}/${name}`, 'latin1').split('\n').slice(0, -1))) {
      assert.equal((JSON.parse(line) as { prev: string }).prev, prev)
      prev = leafHash(line)
    }
  })
})
