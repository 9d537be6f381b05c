import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { Secret } from '../../src/lib/secret.ts'
import type { SinkOptions } from '../../src/sinks/options.ts'
import { open, temporaryDirectory } from '../audit/audit-samples.ts'
import { idOf } from '../sinks/strict-place.ts'
import { startRedis } from '../support/redis.ts'
import { events, fill, sinkContract, start } from './sink-contract.ts'

sinkContract('file', async (directory) => {
  const path = `${directory}/out.ndjson`
  return { options: { kind: 'file', name: 'place', path }, arrived: async () => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []), async [Symbol.asyncDispose]() {} }
})

sinkContract('redis', async () => {
  const server = await startRedis()
  const client = new Redis(server.url)
  return {
    options: { kind: 'redis', name: 'place', url: new Secret(server.url), stream: 'audit', maxLength: 10_000 },
    arrived: async () =>
      (await client.xrange('audit', '-', '+')).map(([, [idName, id, eventName, event = '']]) => {
        assert.deepEqual([idName, eventName, id], ['id', 'event', idOf(event)])
        return event
      }),
    async [Symbol.asyncDispose]() {
      client.disconnect()
      await server[Symbol.asyncDispose]()
    },
  }
})

describe('sink file', () => {
  test('follows log rotation without a signal and with one, is private, and mends a torn end', async () => {
    using directory = temporaryDirectory()
    const path = `${directory.path}/out.ndjson`
    writeFileSync(path, '{"torn":', { mode: 0o600 })
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, { kind: 'file', name: 'place', path })
    await fill(journal, 10)
    await sinks.drain(5_000)
    renameSync(path, `${path}.1`)
    await fill(journal, 10)
    await sinks.drain(5_000)
    renameSync(path, `${path}.2`)
    sinks.reopen()
    await fill(journal, 10)
    await sinks.drain(5_000)
    const [torn, ...first] = readFileSync(`${path}.1`, 'utf8').split('\n').slice(0, -1)
    assert.equal(torn, '{"torn":')
    assert.deepEqual([first, ...[`${path}.2`, path].map((file) => readFileSync(file, 'utf8').split('\n').slice(0, -1))].map((lines) => lines.length), [10, 10, 10])
    assert.equal(statSync(path).mode & 0o077, 0)
  })
})

test('sink stdout: whole lines on standard output, also into a slow pipe', async () => {
  using directory = temporaryDirectory()
  {
    await using journal = await open(directory.path)
    await fill(journal)
  }
  const child = spawn(process.execPath, [`${import.meta.dirname}/../sinks/stdout-program.ts`, directory.path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    child.stdout.pause()
    setImmediate(() => child.stdout.resume())
  })
  await new Promise((resolve) => child.once('close', resolve))
  assert.deepEqual(text.split('\n').slice(0, -1).map(idOf), Array.from({ length: events }, (_, n) => `r1/1/${n}`))
})

test('two sinks of one name, and names that are paths, are refused', async () => {
  using directory = temporaryDirectory()
  await using journal = await open(directory.path)
  const file = (name: string): SinkOptions => ({ kind: 'file', name, path: `${directory.path}/x` })
  assert.throws(() => start(directory.path, journal, file('a'), file('a')), /one name/)
  for (const name of ['../a', '', 'a/b']) assert.throws(() => start(directory.path, journal, file(name)), /sink name/)
})
