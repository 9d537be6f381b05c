import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hold } from '../../src/model/hold.ts'
import { agent, alice, allowed, ballot, bob, makeWorld, obtain, refused, type World } from './world.ts'

const ran = async (world: World, text: string): Promise<Hold> => {
  const hold = await world.opened(text)
  await world.a.life.vote(hold.id, ballot(bob, hold))
  const approval = await obtain(world.a, text, agent)
  assert.ok(!('result' in approval))
  const running = await world.a.life.spend(approval, text, agent, allowed)
  assert.ok(!('result' in running))
  await world.a.life.finish(running, { result: 'executed', ms: 1 }, Buffer.from(`${text} ran`))
  return hold
}

test('read once: of many at one time one gets it; looking takes nothing, and nobody else does', async () => {
  await using world = await makeWorld({ resultsOnce: true })
  const b = await world.replica('b')
  const { id } = await ran(world, 'POST /one')
  assert.equal((await refused(world.a.life.result(id, alice))).code, 'not-found')
  for (let looks = 0; looks < 2; looks++) assert.equal(Buffer.from(await world.a.life.result(id, agent, 'look')).toString(), 'POST /one ran')
  const tries = await Promise.allSettled(Array.from({ length: 10 }, (_, at) => (at % 2 ? world.a : b).life.result(id, agent)))
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
  const late = await refused(b.life.result(id, agent))
  assert.equal(late.code, 'hold-expired')
  assert.match(late.message, /it has been read, which is possible once, or its time is over\. The action was executed once/)
  assert.equal((await refused(b.life.result(id, agent, 'look'))).code, 'hold-expired')
})

test('read once: a repeat that is answered with it has read it', async () => {
  await using world = await makeWorld({ resultsOnce: true })
  const { id } = await ran(world, 'POST /one')
  const again = await obtain(world.a, 'POST /one', agent)
  assert.ok('result' in again)
  assert.equal((await refused(world.a.life.result(id, agent))).code, 'hold-expired')
  assert.equal((await refused(obtain(world.a, 'POST /one', agent))).code, 'hold-spent')
})

test('its end is that of the store\'s clock, whatever the store has kept', async () => {
  await using world = await makeWorld({ resultKeptMs: 30_000, replayWindowMs: 60_000 })
  const { id } = await ran(world, 'POST /one')
  assert.equal(Buffer.from(await world.a.life.result(id, agent)).toString(), 'POST /one ran')
  world.skewMs = 30_500
  assert.ok((await world.a.store.getAttachment(id, 'result')) !== undefined, 'kept for repeats')
  assert.equal((await refused(world.a.life.result(id, agent))).code, 'hold-expired')
})
