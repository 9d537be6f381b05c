import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { makeFailedLogins, type FailedLogin } from '../../src/audit/failed-logins.ts'

const failure = (address: string, step = 'signature'): FailedLogin => ({ type: 'authentication-failed', step, address, from: 'authorization', cause: 'no' })
const bounds = { first: 3, withinMs: 60_000, kinds: 4 }

describe('failed logins', () => {
  test('the first that are alike are on record one by one, the others by their number at the end of the minute', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const records: FailedLogin[] = []
      using logins = makeFailedLogins((event) => void records.push(event), bounds)
      for (let n = 0; n < 10; n++) logins.note(failure('192.0.2.1'))
      logins.note(failure('192.0.2.1', 'expiry'))
      logins.note(failure('192.0.2.2'))
      assert.deepEqual(records.map(({ address, step, count }) => [address, step, count]), [...Array.from({ length: 3 }, () => ['192.0.2.1', 'signature', undefined]), ['192.0.2.1', 'expiry', undefined], ['192.0.2.2', 'signature', undefined]])
      mock.timers.tick(60_000)
      assert.deepEqual(records.slice(5).map(({ address, step, count }) => [address, step, count]), [['192.0.2.1', 'signature', 7]])
      logins.note(failure('192.0.2.1'))
      assert.equal(records.at(-1)?.count, undefined, 'a new minute begins anew')
    } finally {
      mock.timers.reset()
    }
  })

  test('whoever comes from ever new addresses does not fill the log either, and nothing is passed over in silence', () => {
    const records: FailedLogin[] = []
    {
      using logins = makeFailedLogins((event) => void records.push(event), bounds)
      for (let n = 0; n < 1_000; n++) logins.note(failure(`192.0.2.${n}`))
      assert.equal(records.length, bounds.kinds + bounds.first)
    }
    assert.equal(records.reduce((sum, { count = 1 }) => sum + count, 0), 1_000)
  })
})
