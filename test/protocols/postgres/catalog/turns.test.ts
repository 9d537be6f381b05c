import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTurns } from '../../../../src/protocols/postgres/catalog/turns.ts'

test('works do not mix, and one that fails does not stop the next', async () => {
  const asked: string[] = []
  const turns = makeTurns((sql) => {
    asked.push(sql)
    return Promise.resolve([])
  })
  const work = (name: string, fails: boolean): Promise<void> =>
    turns.take(async (ask) => {
      await ask(`${name} 1`)
      if (fails) throw new Error(name)
      await ask(`${name} 2`)
    })
  const results = await Promise.allSettled([work('a', false), work('b', true), work('c', false)])
  assert.deepEqual(asked, ['a 1', 'a 2', 'b 1', 'c 1', 'c 2'])
  assert.deepEqual(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'])
})

test('only so many wait', async () => {
  const open = Promise.withResolvers<readonly []>()
  const turns = makeTurns(() => open.promise)
  const works = Array.from({ length: 300 }, () => turns.take((ask) => ask('x')))
  open.resolve([])
  const failed = (await Promise.allSettled(works)).filter(({ status }) => status === 'rejected')
  assert.ok(failed.length > 0 && failed.length < 50)
})
