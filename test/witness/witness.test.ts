import assert from 'node:assert/strict'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { noteVerifier } from '../../src/audit/signed-note.ts'
import { verifyLog } from '../../src/audit/verification.ts'
import { until } from '../support/until.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { makeSecondLog, timeOfCosignature } from './second-log.ts'
import { startWitness } from './witness-process.ts'

const entries = (count: number, prefix = 'entry'): string[] => Array.from({ length: count }, (_, at) => `${prefix} ${at}`)

describe('a witness', () => {
  test('signs what has grown out of what it saw, and says no to all else as C2SP says', async () => {
    using folder = temporaryFolder('witness')
    const [prod, stranger] = [makeSecondLog('prod'), makeSecondLog('prod')]
    await using witness = await startWitness(folder.path, [prod.verifier])
    const origin = 'prod/r1/1'
    const first = await witness.post(prod.body(origin, entries(7), 0))
    assert.equal(first.status, 200, first.body)
    const age = Date.now() / 1_000 - timeOfCosignature(first.body, witness.keys[0], prod.note(origin, entries(7)))
    assert.ok(age > -2 && age < 60, `signed ${age} s ago`)
    assert.equal((await witness.post(prod.body(origin, entries(20), 7))).status, 200)
    assert.equal((await witness.post(prod.body(origin, entries(20), 20))).status, 200, 'once more the same')

    const statuses: Record<string, readonly [number, string?]> = {
      [prod.body('other/r1/1', entries(3), 0)]: [404],
      [prod.body('production/r1/1', entries(3), 0)]: [404],
      [stranger.body(origin, entries(25), 20)]: [403],
      [prod.body(origin, entries(10), 20)]: [400],
      [prod.body(origin, entries(25), 7)]: [409, '20\n'],
      [prod.body(origin, entries(25), 0)]: [409, '20\n'],
      [prod.body(origin, entries(20, 'forged'), 20)]: [409, '20\n'],
      [prod.body(origin, entries(25, 'forged'), 20)]: [422],
      [prod.body(origin, entries(25), 20, { proof: [] })]: [422],
      [prod.body('prod/r2/1', entries(25), 0, { proof: [Buffer.alloc(32)] })]: [422],
      [prod.body(origin, entries(25), 20).replace('old 20', 'old 020')]: [400],
      [prod.body(origin, entries(25), 20).replace('old 20\n', `old 20\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(64)}`)]: [400],
      ['']: [400],
      [`old 0\n\n${'x'.repeat(100)}`]: [400],
      [prod.body(`prod/${'x'.repeat(400)}`, entries(1), 0)]: [400],
      ['x'.repeat(40_000)]: [413],
    }
    for (const [body, [status, text]] of Object.entries(statuses)) {
      const answer = await witness.post(body)
      assert.equal(answer.status, status, `${body.slice(0, 60)}: ${answer.body}`)
      if (status === 409) assert.deepEqual([answer.body, answer.type], [text, 'text/x.tlog.size'])
    }
    assert.equal((await witness.post(prod.body(origin, entries(25), 20))).status, 200, 'nothing of that has changed what it knows')
  })

  test('of many at one time one wins, and only one', async () => {
    using folder = temporaryFolder('witness')
    const prod = makeSecondLog('prod')
    await using witness = await startWitness(folder.path, [prod.verifier])
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => witness.post(prod.body('prod/r1/1', entries(5, `of ${at}`), 0))))
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, ...Array.from({ length: 19 }, () => 409)])
  })

  test('killed at any moment it has kept what it signed', async () => {
    using folder = temporaryFolder('witness')
    const prod = makeSecondLog('prod')
    const signed = new Map<string, number>()
    for (let cycle = 0; cycle < 4; cycle++) {
      await using witness = await startWitness(folder.path, [prod.verifier])
      for (const [origin, size] of signed) {
        const refused = await witness.post(prod.body(origin, entries(3, 'another log'), 0))
        assert.ok(refused.status === 409 && Number(refused.body) >= size, `${origin} after ${cycle} kills: ${refused.body}`)
      }
      let going = true
      const workers = Array.from({ length: 6 }, async (_, at) => {
        const origin = `prod/r${at}/1`
        for (let size = signed.get(origin) ?? 0; going; size++) {
          const answer = await witness.post(prod.body(origin, entries(size + 1), size)).catch(() => undefined)
          if (answer?.status === 409) size = Number(answer.body) - 1 // taken, and the answer was lost with the process
          else if (answer?.status !== 200) return
          else signed.set(origin, size + 1)
        }
      })
      await until('some to be signed', () => [...signed.values()].reduce((sum, size) => sum + size, 0) >= 40 * (cycle + 1), 20_000)
      await witness.kill('SIGKILL')
      going = false
      await Promise.all(workers)
      if (cycle === 1) rmSync(join(folder.path, 'seen.json'))
    }
    await using witness = await startWitness(folder.path, [prod.verifier])
    for (const [origin, size] of signed) assert.ok(Number((await witness.post(prod.body(origin, entries(3, 'another log'), 0))).body) >= size, origin)
    for (const name of readdirSync(folder.path)) assert.equal(statSync(join(folder.path, name)).mode & 0o077, 0, name)
  })

  test('keeps the newest checkpoint of every log, in a log of its own that proves itself', async () => {
    using folder = temporaryFolder('witness')
    const [prod, other] = [makeSecondLog('prod'), makeSecondLog('test')]
    await using witness = await startWitness(folder.path, [prod.verifier, other.verifier])
    const wanted = [['prod/a/1', 4, prod], ['prod/a/2', 9, prod], ['test/b/1', 3, other]] as const
    for (const [origin, size, log] of wanted) {
      assert.equal((await witness.post(log.body(origin, entries(2), 0))).status, 200)
      assert.equal((await witness.post(log.body(origin, entries(size), 2))).status, 200)
    }
    const notes = (await witness.get('/logs')).body.split(/(?<=\n\u2014 witness\.test \S+\n)/).filter((note) => note !== '')
    assert.deepEqual(notes.map((note) => note.split('\n').slice(0, 2).join(' ')), wanted.map(([origin, size]) => `${origin} ${size}`))
    for (const note of notes) assert.ok(timeOfCosignature(note.slice(note.lastIndexOf('\u2014')), witness.keys[0], note) > 0)

    let text = ''
    let after = ''
    for (let more = true; more; ) {
      const { body, next } = await witness.get(`/root-log${after === '' ? '' : `?after=${encodeURIComponent(after)}`}`)
      text += body
      after = next ?? ''
      more = body !== ''
    }
    const lines = text.split('\n').slice(0, -1)
    const report = verifyLog('root', lines.map((line) => ({ text: line, whole: true })), { keys: [noteVerifier(witness.keys[1])], checkpoints: [] })
    assert.deepEqual([report.finding, lines.filter((line) => line.includes('"witnessed"')).length], [undefined, 6])
    assert.deepEqual([(await witness.get('/root-log?after=../../etc')).status, (await witness.get('/nowhere')).status, (await witness.get('/add-checkpoint')).status, (await witness.get('//')).status], [400, 404, 405, 400])
    assert.deepEqual(JSON.parse((await witness.get('/healthz')).body), { status: 'ok', logs: 3 })
  })

  test('takes no more logs than it may', async () => {
    using folder = temporaryFolder('witness')
    const prod = makeSecondLog('prod')
    await using witness = await startWitness(folder.path, [prod.verifier], ['--max-logs', '2'])
    const statuses = []
    for (const origin of ['prod/a/1', 'prod/b/1', 'prod/c/1', 'prod/a/1']) statuses.push((await witness.post(prod.body(origin, entries(2), origin === 'prod/a/1' && statuses.length > 0 ? 2 : 0))).status)
    assert.deepEqual(statuses, [200, 200, 503, 200])
  })
})
