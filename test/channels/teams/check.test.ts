import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkTeams } from '../../../src/channels/teams/check.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { startTeams } from './fake-teams.ts'

test('whether a bot would work is asked of Microsoft, and said without its secret', async () => {
  await using teams = await startTeams()
  const check = async (over = {}): Promise<readonly string[]> => (await checkTeams(teams.options(over), AbortSignal.timeout(5_000))).map(({ ok, text }) => `${ok ? 'ok' : 'FAIL'} ${text}`)
  assert.deepEqual(await check(), ['ok the bot gets a token', 'ok the bot is in the conversation', 'ok keys that sign for Teams are published', 'ok clicks come to /teams/activities: whether they arrive, only a click can tell'])
  assert.match((await check({ conversation: '19:other@thread.tacv2' }))[1] ?? '', /^FAIL the conversation is not reached: HTTP 404; add the app to it/)
  const [wrong = '', ...more] = await check({ appSecret: new Secret('wr0ng') })
  assert.match(wrong, /^FAIL the bot gets no token.*HTTP 401/)
  assert.ok(!more.some((text) => text.includes('conversation')))
  assert.ok(!JSON.stringify([wrong, more]).includes('wr0ng'))
  const { connector } = teams.options()
  assert.match((await check({ connector: { ...connector, jwksUrl: `${teams.url}/nothing` } }))[2] ?? '', /^FAIL the keys of the Bot Connector: status 404/)
  assert.equal(teams.messages.size, 0)
})
