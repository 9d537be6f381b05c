import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partyKey } from '../../src/model/caller.ts'
import { action, agent, alice, ballot, bob, caller, decision, digestOf, makeWorld, refused, terms } from './world.ts'

const asking = async (world: Awaited<ReturnType<typeof makeWorld>>, text: string, over: Parameters<typeof action>[1] = {}, as = agent, needs = terms()) =>
  (await refused(world.a.life.obtain({ attempt: text, caller: as, action: action(text, { digest: digestOf(text), ...over }), decision: decision(needs), wait: { budgetMs: 0 } }, new AbortController().signal))).detail.hold!

test('an open hold says what its requester asked before, there, and what became of it', async () => {
  await using world = await makeWorld()
  const { life } = world.a
  const first = await asking(world, 'POST /exports 1')
  assert.deepEqual((await life.show(first.id, bob)).history, { alike: {}, others: {}, complete: true })

  await life.vote(first.id, ballot(bob, first, { verdict: 'deny' }))
  const second = await asking(world, 'POST /exports 2')
  await asking(world, 'DELETE /exports', { shape: 'DELETE /exports' })
  await asking(world, 'POST /exports elsewhere', { service: 'crm' })
  await asking(world, 'POST /exports of another', {}, caller('mail-agent', { kind: 'agent' }))
  const third = await asking(world, 'POST /exports 3')

  const { history } = await life.show(third.id, bob)
  const { denied, ...counts } = history!
  assert.deepEqual([denied?.id, denied?.by.subject], [first.id, 'bob'])
  assert.deepEqual(counts, { alike: { pending: 1, denied: 1 }, others: { pending: 1 }, complete: true, since: first.openedAt, last: { id: second.id, code: second.code, state: 'pending', openedAt: second.openedAt } })
  assert.deepEqual((await life.show(second.id, bob)).history?.alike, { denied: 1 }, 'what was asked later is none of what was before')
  assert.equal((await life.show(first.id, bob)).history, undefined, 'what is decided needs none')
  assert.equal((await life.show(third.id, agent)).history, undefined)
})

test('what the viewer may not see is not counted, nor what somebody wrote into the store', async () => {
  await using world = await makeWorld()
  await asking(world, 'POST /exports secret', {}, agent, terms([{ ...terms().requirements[0]!, groups: ['security'] }]))
  const forged = await asking(world, 'POST /exports forged')
  const hold = await asking(world, 'POST /exports 1')
  assert.deepEqual((await world.a.life.show(hold.id, alice)).history?.alike, { pending: 1 })
  world.tamper("update holds set sealed = replace(sealed, 'v2.', 'v3.') where id = ?", forged.id)
  assert.deepEqual((await world.a.life.show(hold.id, alice)).history?.alike, {})
})

test('whoever is taken out of a group sees no more of what its members are asked, but still what they asked themselves', async () => {
  await using world = await makeWorld()
  const { life } = world.a
  const [hold, own] = [await asking(world, 'POST /exports 1'), await asking(world, 'POST /exports 2', {}, alice)]
  const looks = async () => ({ sees: [await life.sees(hold.id, alice), await life.sees(own.id, alice)], listed: (await life.list({ limit: 10 }, alice)).holds.map(({ id }) => id).toSorted() })
  assert.deepEqual(await looks(), { sees: [true, true], listed: [hold.id, own.id].toSorted() })
  world.members = new Map([['dba', new Set([partyKey(bob)])]])
  assert.deepEqual(await looks(), { sees: [false, true], listed: [own.id] })
  await assert.rejects(life.show(hold.id, alice), { code: 'not-found' })
  assert.ok(await life.sees(hold.id, bob))
  const emergency = await asking(world, 'POST /exports 3', {}, agent, terms(undefined, { breakGlass: [{ policy: 'p', rule: 'r', groups: ['security'], users: [], reason: 20 }] }))
  const guard = caller('guard', { groups: ['security'] })
  assert.ok(await life.sees(emergency.id, guard))
  world.members = new Map([['security', new Set<string>()]])
  assert.equal(await life.sees(emergency.id, guard), false)
})

test('a no is seen by whoever is asked for the same in other words', async () => {
  await using world = await makeWorld()
  const orders = { verb: 'sql.delete', verbs: ['sql.delete'], resources: [{ kind: 'table', name: 'public.orders', access: 'write', tags: [] }] } as const
  const first = await asking(world, 'delete from orders where id = 1', { ...orders, shape: 'one' })
  await world.a.life.vote(first.id, ballot(bob, first, { verdict: 'deny', reason: 'not now' }))
  const dressed = await asking(world, 'DELETE FROM public.orders WHERE id=1 -- please', { ...orders, shape: 'two' })
  const { denied } = (await world.a.life.show(dressed.id, alice)).history!
  assert.deepEqual([denied?.code, denied?.reason, denied?.by.subject], [first.code, 'not now', 'bob'])
  const other = await asking(world, 'delete from lines', { ...orders, resources: [{ kind: 'table', name: 'public.lines', access: 'write', tags: [] }], shape: 'three' })
  assert.equal((await world.a.life.show(other.id, alice)).history?.denied, undefined)
})

test('whoever hears of changes is asked about without looking at what was asked before', async () => {
  await using world = await makeWorld()
  let looks = 0
  const { life } = await world.replica('counting', {}, (store) => ({ ...store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](), list: (query) => { looks++; return store.list(query) } }))
  const hold = await asking(world, 'POST /exports')
  assert.deepEqual(await Promise.all([life.sees(hold.id, bob), life.sees(hold.id, agent), life.sees(hold.id, caller('stranger')), life.sees('hold_unknown', bob)]), [true, true, false, false])
  assert.equal(looks, 0)
  await life.show(hold.id, bob)
  assert.equal(looks, 1)
})
