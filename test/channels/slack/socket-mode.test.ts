import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isSocketUrl } from '../../../src/channels/slack/socket.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { carol } from '../../approval/world.ts'
import { until } from '../../support/until.ts'
import { startDeskWorld } from './desk-world.ts'
import { buttonOf, clickOf, submissionOf, tokens } from './fake-slack.ts'

const quick = { leaseMs: 400, beatMs: 20, firstWaitMs: 20 }
const options = { interactivity: { by: 'socket' as const, appToken: new Secret(tokens.app) } }
const start = (replicas: readonly string[] = ['a']) => startDeskWorld(options, { sockets: quick, replicas })

type World = Awaited<ReturnType<typeof start>>
const stateOf = ({ desks }: World, at = 0) => desks[at]!.desk.state().get('approvals')
const connected = (desk: World, count = 1) => until('connections', () => desk.slack.sockets().length === count && desk.desks.some((_, at) => stateOf(desk, at)?.clicks === 'connected'))

describe('socket mode', () => {
  test('a click is acknowledged when it is decided on, and its window answered', async () => {
    await using desk = await start()
    await connected(desk)
    const hold = await desk.opened()
    const message = await desk.show(hold)
    await desk.slack.deliver(clickOf({ user: 'U0BOB' }, message, buttonOf(message, 'Deny')))
    const { view } = await until('the window', () => desk.slack.views[0])
    const wrong = await desk.slack.deliver(submissionOf({ user: 'U0BOB' }, view, 'bad \u202e'))
    assert.equal(wrong?.payload?.['response_action'], 'errors')
    const ack = await desk.slack.deliver(submissionOf({ user: 'U0BOB' }, view, 'No.'))
    assert.deepEqual([ack?.payload, await desk.stateOf(hold)], [undefined, 'denied'])
  })

  test('what cannot be decided on is not acknowledged; sent again, it is decided on once', async () => {
    await using desk = await start()
    await connected(desk)
    const hold = await desk.opened()
    const message = await desk.show(hold)
    const click = clickOf({ user: 'U0BOB' }, message, buttonOf(message, 'Approve'))
    desk.fault.links = true
    const silent = desk.slack.deliver(click, { envelope: 'e-1', withinMs: 400 })
    await until('it to be known', () => desk.log.includes('a click could not be decided on, and Slack was not told that it arrived'))
    assert.equal(await silent, undefined)
    desk.fault.links = false
    for (const envelope of ['e-1', 'e-1']) assert.deepEqual(await desk.slack.deliver(click, { envelope }), { envelope_id: 'e-1' })
    assert.equal((await desk.world.a.life.show(hold.id, carol)).votes.length, 1)
    assert.deepEqual(desk.slack.whispers, [])
  })

  test('what nobody has to decide about is acknowledged', async () => {
    await using desk = await start()
    await connected(desk)
    assert.ok(await desk.slack.deliver({ type: 'shortcut' }))
  })

  test('a new connection is there before the old one goes', async () => {
    await using desk = await start()
    await connected(desk)
    const [old] = desk.slack.sockets()
    let open = 2
    const fewest = () => (open = Math.min(open, desk.slack.sockets().length))
    old?.on('close', fewest)
    old?.send(JSON.stringify({ type: 'disconnect', reason: 'refresh_requested' }))
    await until('the other connection', () => desk.slack.sockets().length === 1 && desk.slack.sockets()[0] !== old)
    assert.ok(open >= 1)
    assert.equal(desk.slack.calls.filter((name) => name === 'apps.connections.open').length, 2)
  })

  test('a connection that is lost is opened again, also when Slack does not answer at once', async () => {
    await using desk = await start()
    await connected(desk)
    desk.slack.answers.set('apps.connections.open', ['internal_error', { status: 503 }])
    const [old] = desk.slack.sockets()
    old?.terminate()
    await until('another connection', () => desk.slack.sockets().length === 1 && desk.slack.sockets()[0] !== old && stateOf(desk)?.clicks === 'connected')
    assert.equal(desk.slack.calls.filter((name) => name === 'apps.connections.open').length, 4)
  })

  test('nonsense over the connection ends it, and another is opened', async () => {
    await using desk = await start()
    await connected(desk)
    for (const nonsense of ['{', 'null', '{"type":1}', '[]']) {
      const [old] = desk.slack.sockets()
      old?.send(nonsense)
      await until('another connection', () => desk.slack.sockets().length === 1 && desk.slack.sockets()[0] !== old)
    }
  })

  test('of many replicas two hold a connection; when one goes, the next takes its place', async () => {
    await using desk = await start(['a', 'b', 'c'])
    const states = () => desk.desks.map((_, at) => stateOf(desk, at)?.clicks)
    await until('two of three', () => states().filter((state) => state === 'connected').length === 2 && states().includes('stand-by'))
    assert.equal(desk.slack.sockets().length, 2)
    const leaving = states().indexOf('connected')
    const waiting = states().indexOf('stand-by')
    await desk.desks[leaving]!.desk[Symbol.asyncDispose]()
    await until('the third', () => stateOf(desk, waiting)?.clicks === 'connected')
    await until('two connections', () => desk.slack.sockets().length === 2)
  })

  test('either of them takes any click', async () => {
    await using desk = await start(['a', 'b'])
    await until('both', () => desk.slack.sockets().length === 2)
    for (const socket of desk.slack.sockets()) {
      const hold = await desk.opened(`POST /${Math.random()}`)
      const message = await desk.show(hold)
      assert.ok(await desk.slack.deliver(clickOf({ user: 'U0BOB' }, message, buttonOf(message, 'Approve')), { socket }))
      assert.equal(await desk.stateOf(hold), 'approved')
    }
  })

  test('switched off, or with a token that is not good, it says so and stops', async () => {
    await using desk = await start()
    await connected(desk)
    desk.slack.sockets()[0]?.send(JSON.stringify({ type: 'disconnect', reason: 'link_disabled' }))
    await until('it to be closed', () => stateOf(desk)?.clicks === 'closed')
    assert.match(JSON.stringify(stateOf(desk)), /switched off/)
    await using other = await startDeskWorld({ interactivity: { by: 'socket', appToken: new Secret('xapp-other') } }, { sockets: quick })
    await until('it to be closed', () => stateOf(other)?.clicks === 'closed')
    assert.match(JSON.stringify(stateOf(other)), /invalid_auth/)
  })

  test('a connection leads into Slack’s own domain, over TLS', () => {
    const api = 'https://slack.com/api'
    for (const url of ['wss://wss-primary.slack.com/link/?ticket=1', 'wss://slack.com/link']) assert.ok(isSocketUrl(url, api), url)
    for (const url of ['ws://wss-primary.slack.com/', 'wss://evil.test/', 'wss://evilslack.com/', 'wss://slack.com.evil.test/', 'wss://a@slack.com/', 'https://slack.com/', 'wss://127.0.0.1/', 'ws://127.0.0.1/', 'x']) assert.ok(!isSocketUrl(url, api), url)
    assert.ok(isSocketUrl('ws://127.0.0.1:9/', 'http://127.0.0.1:8/api'))
  })
})
