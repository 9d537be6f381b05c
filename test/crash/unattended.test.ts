import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ask, showHold, vote } from '../scenarios/client.ts'
import { startDeployment } from '../scenarios/deployment.ts'
import { until } from '../support/until.ts'

/**
 * Actions that run when they are approved, with nobody waiting: the replica that runs one dies by SIGKILL at one step, another replica comes,
 * and then the first comes back. All of them look for approved actions by themselves, so a mistake would run it twice without anybody asking.
 */
const stopPoints = new URL('./stop-points.ts', import.meta.url).href

interface Kill {
  readonly at: string
  /** How often the service has been asked in the end. */
  readonly asked: readonly number[]
  readonly end: readonly string[]
}

const kills: readonly Kill[] = [
  { at: 'before spend', asked: [1], end: ['executed'] },
  { at: 'after store running', asked: [0], end: ['failed'] },
  { at: 'after journal started', asked: [0], end: ['unknown'] },
  { at: 'at the service', asked: [1], end: ['unknown'] },
  { at: 'after finish', asked: [1], end: ['executed'] },
]

describe('a replica is killed while it runs what nobody waits for', { concurrency: 2 }, () => {
  for (const kill of kills) {
    test(kill.at, async () => {
      await using world = await startDeployment('embedded')
      const stopFile = join(world.directory, 'stop')
      const arm = (point: string): void => writeFileSync(stopFile, point)
      const begin = () => world.start('victim', {}, { node: ['--import', stopPoints], env: { COUNTERSIGN_STOP_FILE: stopFile } })
      arm('')
      const [agent, bob, path] = [await world.agent(), await world.person('bob'), '/reports/1']
      let victim = await begin()
      const { hold } = await ask(victim.http, path, agent, { body: '{}', headers: { prefer: 'respond-async' } })
      assert.ok(hold)
      if (kill.at === 'at the service') world.upstream.answer = () => void victim.process.kill('SIGKILL')
      assert.equal((await vote(victim, hold, bob)).status, 200)
      arm(kill.at)
      assert.equal(await victim.ended(), 'SIGKILL')
      world.upstream.answer = undefined
      arm('')

      // Another one finds the hold first. If it is approved still, that one runs it; else it leaves it alone.
      const other = await world.start('other')
      const left = (await showHold(other, hold, bob)).state
      assert.ok(['approved', 'running', 'executed'].includes(left), left)
      if (left === 'approved') await until('the other to run it', async () => (await showHold(other, hold, bob)).state === 'executed', 10_000)
      victim = await begin()
      const state = await until('an end', async () => {
        const now = (await showHold(other, hold, bob)).state
        return now !== 'running' && now
      }, 10_000)
      assert.ok(kill.end.includes(state), state)

      // A second action goes all the way after it, so whatever else was to happen to the first has happened.
      const next = await ask(victim.http, '/reports/2', agent, { body: '{}', headers: { prefer: 'respond-async' } })
      await vote(other, next.hold!, bob)
      await until('the next to have run', async () => (await showHold(other, next.hold!, bob)).state === 'executed', 10_000)
      assert.ok(kill.asked.includes(world.upstream.executions(path)), `asked ${world.upstream.executions(path)} times`)
      assert.equal(world.upstream.executions('/reports/2'), 1)
      const starts = world.records().filter((record) => record.type === 'started' && record.hold === hold).length
      assert.ok(starts >= world.upstream.executions(path), 'an execution without a record of its start')
    })
  }
})
