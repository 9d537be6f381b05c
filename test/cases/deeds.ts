import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import { loadConfig } from '../../src/config/load.ts'
import { compilePolicies } from '../../src/config/policies.ts'
import { formatProblem } from '../../src/lib/problem.ts'
import { startReplica } from '../../src/main.ts'
import { inTheEnd } from '../support/until.ts'
import { digestOfHold, finalReply, send, settleOrHeld } from './exchange.ts'
import { exchangeOf, holdOf, openHold, statusText, vote, type Observation } from './observation.ts'
import { loginDeeds } from './logins.ts'
import { fail, pending } from './outcome.ts'
import { approveWithPasskey } from './passkeys.ts'
import { makeToken } from './principals.ts'
import { approveThen } from './slack.ts'
import { forge, reach } from './tampering.ts'
import { connectWire } from './wire-client.ts'

/* Steps that are one sentence. */

const requesters = ['req-a', 'req-b']

/** Local addresses, in the kernel's own writing, on which this process listens. */
const listening = (): readonly string[] => {
  const own = new Set(readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? []
    } catch {
      return [] // closed meanwhile
    }
  }))
  return ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/self/net/${table}`, 'latin1').split('\n').slice(1)).flatMap((line) => {
    const fields = line.trim().split(/\s+/)
    return fields[3] === '0A' && own.has(fields[9] ?? '') ? [fields[1] ?? ''] : []
  })
}

/** Nothing is configured of the listener, except that its port may be any. */
const shortest = async ({ world }: Observation): Promise<void> => {
  const folder = join(world.folder, 'shortest')
  mkdirSync(folder)
  writeFileSync(join(folder, 'countersign.yaml'), 'issuers: { idp-a: { issuer: https://idp-a.test, audiences: [countersign-test], keys: { jwks-url: https://idp-a.test/jwks } } }\nservices: { app: { upstream: http://127.0.0.1:9 } }\npolicies: [policy.yaml]\n')
  writeFileSync(join(folder, 'policy.yaml'), 'policy: app\nrules: [{ name: read, then: allow, methods: [GET] }]\n')
  const { config, problems } = await loadConfig(join(folder, 'countersign.yaml'), {})
  if (config === undefined) return fail(`the shortest configuration does not load: ${problems.map(formatProblem).join('; ').slice(0, 400)}`)
  const compiled = compilePolicies(config)
  if (compiled.problems) return fail(`its policies do not load: ${compiled.problems.map(formatProblem).join('; ').slice(0, 300)}`)
  const before = new Set(listening())
  await using replica = await startReplica({ ...withApprovalKey(config), http: { ...config.http, port: 0 }, console: { ...config.console, port: 0 }, admin: { ...config.admin, port: 0 } }, compiled.policies, { log: pino({ level: 'silent' }), fetch: world.issuers.fetch })
  const added = listening().filter((address) => !before.has(address))
  const port = Number(replica.addresses.admin.slice(replica.addresses.admin.lastIndexOf(':') + 1)).toString(16).toUpperCase().padStart(4, '0')
  const admin = added.filter((address) => address.endsWith(`:${port}`))
  if (admin.length === 0 || admin.some((address) => address !== `0100007F:${port}`)) fail(`the admin port listens on ${admin.join() || 'nothing that can be seen'}`)
}

const deeds: Readonly<Record<string, (seen: Observation) => Promise<void>>> = {
  ...loginDeeds,
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
    await wire.untilClosed(inTheEnd)
    wire.write(frame('more'))
  },
  'wait until the replica is promoted': async ({ world }) => {
    const pair = world.sentinel ?? pending('no Sentinel runs here')
    await pair.replica.kill('SIGCONT')
    const end = performance.now() + 30_000
    while (!(await pair.replica.command('INFO', 'replication').catch(() => '')).includes('role:master')) {
      if (performance.now() > end) fail('the replica was not promoted')
      await pause(50)
    }
  },
  'delete the record of r1 in the store': async (seen) => await reach(seen.world, async (access) => await access.remove(holdOf(seen, 'r1'))),
  'pause the executing replica between reading and consuming (debug hook or slow store)': async ({ world, sender }) => {
    world.store.pause = { reached: Promise.withResolvers(), go: Promise.withResolvers() }
    const first = exchangeOf(sender, 'r1') ?? pending('no r1')
    send(sender, first.sent, { ref: 'r1' })
    await Promise.race([world.store.pause.reached.promise, pause(4_000).then(() => fail('nobody came to consume the approval'))])
  },
  'let it go on': async ({ world }) => void world.store.pause?.go.resolve(),
  'set the state field of approval 1 to approved': (seen) => tampered(seen, (id) => forge(seen.world, id, ({ hold }) => void (hold['state'] = 'approved'))),
  'copy the complete record of an approved request over the record of approval 1, keep the id of approval 1': (seen) => tampered(seen, async (id) => {
    const other = openHold(seen.sender, 'req-a', '/admin/other', 'other')
    await settleOrHeld(seen.sender, other, 3_000)
    await vote(seen.world, 'appr-a', other.hold ?? '', 'approve')
    await reach(seen.world, async (access) => await access.write(id, await access.read(other.hold ?? '')))
  }),
  'add a vote record with the name of appr-a': (seen) => tampered(seen, (id) => forge(seen.world, id, ({ hold }) => {
    hold.votes.push({ verdict: 'approve', by: { issuer: 'https://idp-a.test', subject: 'u-appr-a', kind: 'human', groups: ['approvers'] }, channel: 'api', assurance: 'console', digest: digestOfHold(seen.world, id), at: Date.now() })
    hold['state'] = 'approved'
  })),
  'extend the expiry field by one day': (seen) => tampered(seen, (id) => forge(seen.world, id, (record) => {
    record.hold['deadline'] = Number(record.hold['deadline']) + 86_400_000
    if (record.dueAt !== undefined) record.dueAt += 86_400_000
  })),
  'replace the stored action by another one, keep the votes': (seen) => tampered(seen, (id) => forge(seen.world, id, ({ hold }) => void (hold['action'] = { ...(hold['action'] as object), text: 'GET /public/x', digest: `sha256:${'0'.repeat(64)}` }))),
  'set need from 2 to 0 in the stored rule snapshot': (seen) => tampered(seen, (id) => forge(seen.world, id, ({ hold }) => {
    const terms = hold['terms'] as { requirements: { count: number }[] }
    for (const requirement of terms.requirements) requirement.count = 0
  })),
  'approve in Slack, then delete the message in Slack': (seen) => approveThen(seen, 'deleted'),
  "approve in Slack, then another app edits the message to 'rejected'": (seen) => approveThen(seen, 'edited'),
  'the update call to Slack fails with message_not_found': (seen) => approveThen(seen, 'gone before it is drawn anew'),
  'U-REQ-B changes the Slack e-mail to the address of appr-a': async ({ world }) => void world.slack?.fake.users.set('U-REQ-B', { profile: { email: 'appr-a@corp.test' } }),
  'open the link, approve in the console with a passkey assertion whose challenge is the digest of r1': async (seen) => await approveWithPasskey(seen, 'appr-a', holdOf(seen, 'r1')),
  'start proxy-a again': async ({ world }) => await (world.processes ?? pending('no replica is a process here')).start('proxy-a'),
  'as soon as the stub has seen the request: kill -9 the proxy; start it again': async ({ world }) => {
    const processes = world.processes ?? pending('no replica is a process here')
    await until(() => (world.stubs.get('app')?.seen.length ?? 0) > 0, 'the request at the upstream')
    await processes.end('proxy-a', 'SIGKILL')
    await processes.start('proxy-a')
  },
  'approve all 100 on proxy-b during the drain': async (seen) => {
    const held = seen.sender.exchanges.filter(({ hold }) => hold !== undefined)
    if (held.length !== 100) fail(`${held.length} of 100 are held`)
    for (let from = 0; from < held.length; from += 10)
      await Promise.all(held.slice(from, from + 10).map(async ({ hold }) => {
        const reply = await vote(seen.world, 'appr-b', hold ?? '', 'approve', { replica: 'proxy-b' })
        if (statusText(reply) !== '200') fail(`a vote was answered ${statusText(reply)}`)
      }))
    for (const exchange of held) await finalReply(exchange, 5_000)
  },
  'repeat 200 times with fresh requests': async ({ sender, world }) => {
    const one = async (number: number): Promise<void> => {
      const exchange = openHold(sender, requesters[number % requesters.length] ?? '', '/admin/critical/x', `again-${number}`, `{"n":${number}}`, 'wait')
      await settleOrHeld(sender, exchange, inTheEnd)
      const hold = exchange.hold ?? fail(`request ${number} was not held`)
      const votes = await Promise.all([vote(world, 'appr-a', hold, 'approve', { replica: 'proxy-a' }), vote(world, 'appr-b', hold, 'approve', { replica: 'proxy-b' })])
      if (!votes.every((reply) => statusText(reply) === '200')) fail(`the votes of run ${number} were answered ${votes.map(statusText).join()}`)
      const reply = await finalReply(exchange, inTheEnd)
      if (statusText(reply) !== '200') fail(`run ${number} was answered ${statusText(reply)}`)
      exchange.wire.destroy()
    }
    for (let from = 0; from < 200; from += 8) await Promise.all(Array.from({ length: Math.min(8, 200 - from) }, (_, index) => one(from + index)))
  },
  'start with the shortest possible configuration and list the listening sockets': shortest,
  'run the action in asynchronous mode': async (seen) => {
    // Asynchronously means here: the requester comes back with the identical request, and the answer is kept for it.
    const first = exchangeOf(seen.sender, 'r1') ?? pending('no r1')
    await finalReply(send(seen.sender, first.sent, { ref: 'r1-again' }), 4_000)
  },
}

/** After the change everybody tries: an approver says yes, the requester asks again, with the name of the hold and without. */
const tampered = async (seen: Observation, change: (id: string) => Promise<void>): Promise<void> => {
  const { sender, world } = seen
  const first = exchangeOf(sender, '1') ?? pending('no approval 1')
  const hold = first.hold ?? pending('no hold')
  await change(hold)
  await vote(world, 'appr-b', hold, 'approve')
  for (const name of ['', `Countersign-Hold: ${hold}\r\n`]) {
    const again = send(sender, { ...first.sent, bytes: Buffer.from(first.sent.bytes.toString('latin1').replace('\r\n\r\n', `\r\n${name}\r\n`)) }, { ref: 'again' })
    const reply = await finalReply(again, 6_000)
    if (typeof reply === 'object' && reply.status < 300 && reply.status !== 202) fail(`the forged record was good for an answer ${reply.status}`)
  }
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
