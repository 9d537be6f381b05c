import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeProgramLog } from '../../src/cli/program-log.ts'

const written = (level: string, say: (log: ReturnType<typeof makeProgramLog>) => void): readonly Record<string, unknown>[] => {
  const lines: string[] = []
  say(makeProgramLog(level, {}, (line) => void lines.push(line)))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('known fields are shown, words of others without their secrets, and nothing else', () => {
  const [line] = written('info', (log) => log.warn({ channel: 'ops', tries: 2, cause: 'connect failed: postgres://app:S3CRET@db/crm?token=S3CRET', problems: ['password=S3CRET is wrong'], path: '/api/x', headers: { authorization: 'S3CRET' }, token: 'S3CRET', body: 'S3CRET' }, 'a channel was not told'))
  assert.deepEqual({ ...line, time: undefined, level: undefined }, { time: undefined, level: undefined, channel: 'ops', tries: 2, cause: 'connect failed: postgres://***@db/crm?***', problems: ['password=*** is wrong'], path: '/api/x', headers: '[not shown]', token: '[not shown]', body: '[not shown]', msg: 'a channel was not told' })
})

test('an error is its name, its masked words and where it came from; what it carries beside is left out', () => {
  const error = Object.assign(new Error('query failed', { cause: new Error('Bearer S3CRET-S3CRET was refused') }), { query: "ALTER ROLE x PASSWORD 'S3CRET'", parameters: ['S3CRET'] })
  const [thrown, bare, caused] = written('info', (log) => {
    log.error({ err: error }, 'failed')
    log.error(Object.assign(new Error('Bearer S3CRET-S3CRET\n    at nowhere'), { cause: error.cause }))
    log.warn({ cause: error }, 'later')
  })
  for (const [line, says] of [[thrown, 'query failed: Bearer *** was refused'], [bare, 'Bearer ***\n    at nowhere: Bearer *** was refused']] as const) {
    const { type, message, stack } = (line?.['err'] ?? {}) as { type: string; message: string; stack: string }
    assert.deepEqual([type, message], ['Error', says])
    assert.match(stack, /^ {4}at .*program-log\.test\.ts/)
  }
  assert.equal(caused?.['cause'], 'query failed: Bearer *** was refused')
  assert.doesNotMatch(JSON.stringify([thrown, bare, caused]), /S3CRET/)
})
