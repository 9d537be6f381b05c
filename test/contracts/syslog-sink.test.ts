import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { recordLineOf } from '../../src/audit/ocsf/line.ts'
import type { OptionsOf } from '../../src/sinks/options.ts'
import { syslogMessage } from '../../src/sinks/syslog-message.ts'
import { open, readAll, temporaryDirectory } from '../audit/audit-samples.ts'
import { type Manner, startSyslogReceiver } from '../sinks/syslog-receiver.ts'
import { makeTls } from '../support/postgres-tls.ts'
import { startRsyslog } from '../support/rsyslog.ts'
import { until } from '../support/until.ts'
import { assertComplete, events, fill, sinkContract, start } from './sink-contract.ts'

const optionsTo = (port: number, ca: string, more: Partial<OptionsOf<'syslog'>> = {}): OptionsOf<'syslog'> => ({ kind: 'syslog', name: 'place', host: 'localhost', port, tls: { ca }, facility: 13, sdId: 'countersign@32473', maxBytes: 8_192, timeoutMs: 3_000, ...more })

sinkContract('syslog, a real rsyslogd', async () => {
  const server = await startRsyslog()
  return {
    options: optionsTo(server.port, server.ca, { format: 'ocsf' }),
    arrived: async () =>
      server.logged().map(({ host, app, process, id, priority, time, data, text }) => {
        const line = recordLineOf(text) ?? ''
        const record = JSON.parse(line) as { readonly id: string; readonly type: string; readonly time: string }
        assert.deepEqual([host, app, process, id, priority, time, data], ['r1', 'countersign', '1', record.type, '110', record.time, `[countersign@32473 id="${record.id}"]`])
        return line
      }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
})

const folder = (): { readonly path: string } & Disposable => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-syslog-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

describe('sink syslog, a bad receiver', { concurrency: 3 }, () => {
  const manners: Readonly<Record<string, (connection: number) => Manner>> = {
    'turns us away at first': (n) => (n < 3 ? 'turn away' : 'listen'),
    'resets in the middle of a batch': (n) => (n < 4 ? { half: 15 } : 'listen'),
    'does not read for a while': (n) => (n === 0 ? 'deaf' : 'listen'),
  }
  for (const [name, manner] of Object.entries(manners)) {
    test(name, async () => {
      using directory = temporaryDirectory()
      await using receiver = await startSyslogReceiver(directory.path)
      receiver.manner = manner
      await using journal = await open(directory.path)
      await using sinks = start(directory.path, journal, optionsTo(receiver.port, receiver.ca, { timeoutMs: 1_000 }))
      await fill(journal)
      if (name.startsWith('does not read')) {
        // It was taken by the kernel: that is all that can be known, until the connection ends.
        await until('a connection', () => receiver.connections() > 0)
        await sinks.drain(5_000)
        receiver.hangUp()
        await until('the receiver to have been left', async () => {
          await fill(journal, 1)
          return receiver.connections() > 1
        })
      }
      await sinks.drain(15_000)
      await until('all to be there', () => new Set(receiver.texts).size >= events)
      await assertComplete(journal, receiver.texts)
      assert.ok(receiver.connections() > 1)
      assert.equal(sinks.state()[0]!.dead, 0)
    })
  }

  test('a receiver that was started again gets what it may have missed', async () => {
    using directory = temporaryDirectory()
    await using receiver = await startSyslogReceiver(directory.path)
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, optionsTo(receiver.port, receiver.ca))
    await fill(journal, 10)
    await sinks.drain(5_000)
    receiver.hangUp()
    await fill(journal, 10)
    await sinks.drain(5_000)
    await until('all, and the first ones again', () => receiver.texts.length === 30)
    await assertComplete(journal, receiver.texts, 20)
  })
})

describe('sink syslog', () => {
  test('a message that the receiver would cut becomes a dead letter', async () => {
    using directory = temporaryDirectory()
    await using receiver = await startSyslogReceiver(directory.path)
    await using journal = await open(directory.path)
    await using _sinks = start(directory.path, journal, optionsTo(receiver.port, receiver.ca, { maxBytes: 600 }))
    await fill(journal, 5)
    await journal.append({ type: 'session-ended', session: 's'.repeat(500), cause: 'long' }, 'written')
    const lost = await until('the loss on record', async () => (await readAll(journal)).find(({ type }) => type === 'records-lost'), 10_000)
    assert.deepEqual([lost['count'], lost['cause']], [1, 'longer than 600 bytes (max-size)'])
    assert.match(readFileSync(`${directory.path}/r1/place.dead`, 'utf8'), /"id":"r1\/1\/5"/)
    await until('the others to be there', () => receiver.texts.length >= 5)
  })

  test('only the receiver whose certificate is good for its name gets anything; it gets to see ours', async () => {
    using directory = temporaryDirectory()
    using other = folder()
    using wrong = folder()
    await using receiver = await startSyslogReceiver(directory.path, { wantsCertificate: true })
    const { ca: strangers } = await makeTls(other.path)
    const ours = { cert: `${directory.path}/server.crt`, key: `${directory.path}/server.key` }
    await using misnamed = await startSyslogReceiver(wrong.path, { wantsCertificate: false })
    for (const [name, options, said] of [
      ['stranger', optionsTo(receiver.port, strangers, { tls: { ca: strangers, certificate: ours } }), /certificate/],
      ['unknown', optionsTo(receiver.port, misnamed.ca, { tls: { ca: misnamed.ca, certificate: ours } }), /certificate/],
      ['without ours', optionsTo(receiver.port, receiver.ca), /certificate|ended the connection|closed|ECONNRESET/],
    ] as const) {
      await using journal = await open(`${directory.path}/${name}`)
      await using sinks = start(`${directory.path}/${name}`, journal, options)
      await fill(journal, 3)
      const { lastError, delivered } = await until(`${name} to fail`, () => sinks.state().find(({ lastError }) => lastError !== undefined))
      assert.match(String(lastError), said)
      assert.equal(delivered, 0)
    }
    assert.deepEqual(receiver.texts, [])
    await using journal = await open(`${directory.path}/good`)
    await using sinks = start(`${directory.path}/good`, journal, optionsTo(receiver.port, receiver.ca, { tls: { ca: receiver.ca, certificate: ours } }))
    await fill(journal, 3)
    await sinks.drain(5_000)
    await until('all to be there', () => receiver.texts.length === 3)
  })

  test('signs that end structured data are escaped; what is no line of ours has no head of its own', () => {
    const hostile = 'damaged/a "b"]\\c.ndjson/7'
    assert.equal(syslogMessage({ id: hostile, seq: -1, text: JSON.stringify({ id: hostile, type: 'damaged-line' }), sent: '{}' }, { facility: 13, sdId: 'countersign@32473' }), '<110>1 - - countersign - - [countersign@32473 id="damaged/a \\"b\\"\\]\\\\c.ndjson/7"] {}')
  })
})
