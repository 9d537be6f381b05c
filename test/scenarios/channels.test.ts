import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startReceiver, type Receiver } from '../channels/webhook/receiver.ts'
import { until } from '../support/until.ts'
import { ask, showHold, vote } from './client.ts'
import { startDeployment } from './deployment.ts'

/** What a receiver that throws repeats away has heard. */
const heard = ({ taken }: Receiver): readonly string[] => [...new Map(taken.map(({ headers, body }) => [headers['webhook-id'], String(body['type'])])).values()]

for (const kind of ['embedded', 'redis'] as const) {
  test(`the endpoint hears of a hold to its end, also when the replica that told it is killed and while the endpoint is down, ${kind} store`, async () => {
    await using receiver = await startReceiver()
    await using world = await startDeployment(kind, { channels: { ops: { kind: 'webhook', url: receiver.url, payload: 'summary', 'private-addresses': true } } })
    const replicas = { a: await world.start('a'), b: await world.start('b') }
    const [agent, bob] = [await world.agent(), await world.person('bob')]
    const leave = async (path: string, at = replicas.b): Promise<string> => (await ask(at.http, path, agent, { body: '{}', headers: { prefer: 'wait=0' } })).hold ?? assert.fail('no hold')

    const first = await leave('/refunds/1')
    await until('the opening', () => heard(receiver).length === 1)
    const [{ body }] = receiver.taken as [Receiver['taken'][0]]
    assert.deepEqual((body['data'] as { hold: string; service: string }).hold, first)

    const speaks = async (replica: { readonly admin: string }): Promise<boolean> => ((await ask(replica.admin, '/readyz', '', { method: 'GET' })).json['channels'] as [{ speaks: boolean }])[0].speaks
    const [speaker, other] = (await speaks(replicas.a)) ? [replicas.a, replicas.b] : [replicas.b, replicas.a]
    await speaker.kill('SIGKILL')
    receiver.answers.push([500])
    assert.equal((await vote(other, first, bob, 'deny')).status, 200)
    const second = await leave('/refunds/2', other)
    await until('both to be told by the other one', () => heard(receiver).includes('hold.denied') && heard(receiver).filter((type) => type === 'hold.opened').length === 2, 30_000)
    assert.ok(await speaks(other))
    assert.equal(receiver.refused.length, 1)
    const shown = await until('it to be known as told', async () => {
      const view = await showHold(other, second, bob)
      return (view['reaches'] as { state: string }[])[0]?.state === 'shown' ? view : undefined
    })
    assert.deepEqual((shown['reaches'] as { channel: string }[]).map(({ channel }) => channel), ['ops'])
  })
}
