import { setTimeout as pause } from 'node:timers/promises'
import { messageOf, send, settleOrHeld } from './exchange.ts'
import { exchangeOf, type Observation } from './observation.ts'
import { fail, pending } from './outcome.ts'
import { makeToken } from './principals.ts'
import { connectWire } from './wire-client.ts'

/* Steps that are one sentence. */

const deeds: Readonly<Record<string, (seen: Observation) => Promise<void>>> = {
  'read 1000 bytes of r1, then destroy s1': async ({ sender }) => {
    const wire = exchangeOf(sender, 'r1')?.wire ?? pending('no r1')
    const end = performance.now() + 3_000
    while (wire.rest().length < 1_000) {
      if (performance.now() > end) fail('r1 sent nothing')
      await pause(5)
    }
    wire.destroy()
  },
  'send 1000 tokens with 1000 random kid values': async ({ world, named }) => {
    const refused: number[] = []
    for (let round = 0; round < 20; round++) {
      const wires = Array.from({ length: 50 }, (_, index) => {
        const wire = connectWire(world.first().ports.http)
        const token = makeToken({ header: { kid: `random-${round}-${index}` }, key: 'attacker/x1' }, world.now())
        wire.write(`GET /public/x HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${token}\r\n\r\n`)
        return wire
      })
      for (const wire of wires) {
        const reply = await wire.reply(0, 5_000)
        if (typeof reply === 'object') refused.push(reply.status)
        wire.destroy()
      }
      if (round === 10) {
        const wire = connectWire(world.first().ports.http)
        wire.write(`GET /public/x HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${makeToken({ claims: { jti: 'between' } }, world.now())}\r\n\r\n`)
        named.set('between', await wire.reply(0, 5_000))
        wire.destroy()
      }
    }
    if (refused.length !== 1_000 || refused.some((status) => status !== 401)) fail(`of 1000 tokens ${refused.filter((status) => status === 401).length} were answered 401`)
  },
  'exchange one text message in each direction': async ({ sender, world }) => {
    const wire = exchangeOf(sender, 'w1')?.wire ?? pending('no w1')
    const stub = world.stubs.get('app')
    wire.write(frame('hello'))
    await until(() => stub?.openSockets().length === 1, 'the upstream WebSocket')
    stub?.openSockets()[0]?.write(Buffer.concat([Buffer.from([0x81, 2]), Buffer.from('ok')]))
    await until(() => wire.rest().includes('ok'), 'the message from upstream')
  },
  'send one more message on s1': async ({ sender }) => {
    const wire = sender.sockets.get('s1')?.wire ?? pending('no s1')
    await wire.untilClosed(8_000)
    wire.write(frame('more'))
  },
  'wait until the replica is promoted': async () => pending('fail-over with Sentinel is run by test/stores/redis-failover.test.ts, not here'),
  'delete the record of r1 in the store': async () => pending('this runner does not reach into the store yet'),
  'repeat 200 times with fresh requests': async () => pending('the runner repeats by parallel steps only'),
  'run the action in asynchronous mode': async (seen) => {
    // Asynchronously means here: the requester comes back with the identical request, and the answer is kept for it.
    const first = exchangeOf(seen.sender, 'r1') ?? pending('no r1')
    const again = send(seen.sender, first.sent, { ref: 'r1-again' })
    await settleOrHeld(seen.sender, again, 3_000)
  },
}

const until = async (condition: () => boolean, what: string): Promise<void> => {
  const end = performance.now() + 3_000
  while (!condition()) {
    if (performance.now() > end) fail(`waited in vain for ${what}`)
    await pause(5)
  }
}

/** A masked text frame. */
const frame = (text: string): Buffer => {
  const mask = [1, 2, 3, 4]
  return Buffer.from([0x81, 0x80 | text.length, ...mask, ...Buffer.from(text).map((byte, index) => byte ^ (mask[index % 4] ?? 0))])
}

export const doDeed = async (seen: Observation, sentence: string): Promise<void> => {
  const deed = Object.hasOwn(deeds, sentence) ? deeds[sentence] : undefined
  if (deed === undefined) return pending(`no way yet to: ${sentence}`)
  await deed(seen)
}

export { messageOf }
