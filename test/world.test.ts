/** `npm start` as a newcomer meets it: each printed line does what is said above it, and nothing is left when it ends, however it ends. */
import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { byNode } from '../examples/world/tour.ts'
import { compiled } from './support/compiled.ts'
import { until } from './support/until.ts'

const root = resolve(import.meta.dirname, '..')
const curl = { skip: spawnSync('curl', ['--version']).status !== 0 && 'the tour is pasted into a shell with curl' }

interface World {
  readonly process: ChildProcess
  /** What it printed. */
  text(): string
  /** The first printed line that is like this. */
  line(pattern: RegExp): string
  ended(): Promise<number | NodeJS.Signals>
}

const startWorld = async (place: string, env: Readonly<Record<string, string>> = {}): Promise<World> => {
  const child = spawn(process.execPath, [join(root, 'examples/world/main.ts')], { cwd: root, env: { ...process.env, NO_COLOR: '1', NODE_COMPILE_CACHE: compiled, TMPDIR: place, WORLD: join(place, 'world'), ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  await until('the tour', () => text.includes('Ctrl-C ends everything.') || child.exitCode !== null, 90_000)
  const line = (pattern: RegExp): string => text.split('\n').find((each) => pattern.test(each))?.trim() ?? assert.fail(`no line like ${pattern} in:\n${text}`)
  return { process: child, text: () => text, line, ended: () => ended }
}

interface Pasted {
  readonly done: Promise<{ readonly code: number; readonly out: string }>
  /** What it has said so far, on both streams. */
  out(): string
}

/** A printed line, as somebody pastes it. */
const paste = (command: string): Pasted => {
  const child = spawn('sh', ['-c', command], { cwd: root, env: { ...process.env, NO_COLOR: '1', PSQLRC: '/dev/null', NODE_COMPILE_CACHE: compiled }, stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
  return { done: once(child, 'close').then(([code]) => ({ code: code as number, out })), out: () => out }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((found) => {
    const socket = connect(port, '127.0.0.1', () => found(true)).on('error', () => found(false))
    socket.once('connect', () => socket.destroy())
  })

describe('npm start', { concurrency: 1 }, () => {
  const place = mkdtempSync(join(tmpdir(), 'countersign-world-'))
  chmodSync(place, 0o1777) // as /tmp is: where the tests run as root, the database runs as another user
  let world: World

  before(async () => {
    world = await startWorld(place)
  })
  after(async () => {
    world.process.kill('SIGKILL')
    await world.ended()
    rmSync(place, { recursive: true, force: true, maxRetries: 5 })
  })

  /** Bob sees it in the list and approves it; gives back what the agent was answered and what it was told before. */
  const approved = async (line: string): Promise<string> => {
    const asked = paste(line)
    const list = `${world.line(/holds ls/)} -o json`
    const { id, code } = await until('the hold', async () => {
      const { out } = await paste(list).done
      return (JSON.parse(out.slice(out.indexOf('{'))) as { readonly holds: readonly { readonly id: string; readonly code: string; readonly state: string }[] }).holds.find(({ state }) => state === 'pending')
    }, 40_000)
    const yes = await paste(`${world.line(/holds approve/).replace('CS-XXXX', id)} --yes --code ${code}`).done
    assert.equal(yes.code, 0, yes.out)
    const { out, code: status } = await asked.done
    assert.equal(status, 0, out)
    return out
  }

  test('a call that is allowed, one that is denied', curl, async () => {
    assert.match((await paste(world.line(/curl.*\/v1\/orders /)).done).out, /o-1003/)
    assert.match((await paste(world.line(/curl.*settings/)).done).out, /admin console/)
  })

  test('a call that waits until bob approves it', curl, async () => {
    assert.match(await approved(world.line(/curl.*\/refund /)), /"refunded":"o-1003"/)
  })

  test('with psql: masked rows, a denial with its reason, a deletion that waits', async () => {
    const { out } = await paste(world.line(/psql.*customers/)).done
    assert.match(out, /masked:[0-9a-f]{32}/)
    assert.match(out, /London/)
    assert.doesNotMatch(out, /ada@example\.org|Ada Lovelace/)
    const denied = await paste(world.line(/psql.*salaries/)).done
    assert.equal(denied.code, 1)
    assert.match(denied.out, /ERROR: +Salaries are for people\.[^]*HINT: +Ask for an aggregate/)
    const look = world.line(/psql.*customers/).replace(/"[^"]*"$/, "'\\d orders'")
    assert.match((await paste(look).done).out, /Foreign-key constraints:/)
    assert.match(await approved(world.line(/psql.*delete/)), /NOTICE: +held for approval CS-[^]*DELETE 1/)
  })

  test('with node-postgres the same', async () => {
    const port = Number(/port=(\d+)/.exec(world.line(/psql.*customers/))?.[1])
    const line = byNode({ port, token: join(place, 'world/invoice-agent.token') })
    assert.match((await paste(line('select * from customers')).done).out, /masked:[0-9a-f]{32}[^]*London/)
    const denied = await paste(line('select * from salaries')).done
    assert.equal(denied.code, 1)
    assert.match(denied.out, /Salaries are for people\.[^]*Ask for an aggregate/)
    assert.match(await approved(line('delete from orders where id = 8')), /NOTICE: +held for approval CS-[^]*DELETE 1/)
  })

  test('what an auditor gets is made in one line, of what just happened, and checks with the keys that were written before', async () => {
    const line = world.line(/countersign evidence/)
    const made = await paste(line.slice(line.indexOf('npx'))).done
    assert.equal(made.code, 0, made.out)
    const pack = join(place, 'world', 'evidence')
    const { out, code } = await paste(`npx countersign receipt verify ${pack}/manifest.dsse.json --key ${place}/world/audit.keys && npx countersign audit verify ${pack}/records/*.ndjson --key ${place}/world/audit.keys`).done
    assert.equal(code, 0, out)
    assert.match(out, /files {6}all \d+ are here and unchanged[^]*records up to the last signature are what was written/)
    const page = readFileSync(join(pack, 'report.html'), 'utf8')
    assert.match(page, /refund[^]*bob/)
  })

  test('a second one in the same folder says so and disturbs nothing', async () => {
    const second = await startWorld(place)
    assert.equal(await second.ended(), 1)
    assert.match(second.text(), /has its world already \(process \d+\)/)
    assert.match((await paste(world.line(/psql.*customers/)).done).out, /London/)
  })

  const everythingOf = (): readonly number[] => {
    const configuration = readFileSync(join(place, 'world/countersign.yaml'), 'utf8')
    return [...new Set([...configuration.matchAll(/127\.0\.0\.1:(\d+)/g)].map((match) => Number(match[1])))]
  }
  const nothingIsLeft = async (): Promise<void> => {
    for (const port of everythingOf()) await until(`port ${port} to be free`, async () => !(await answers(port)), 10_000)
    await until('the database folder to be gone', () => readdirSync(place).every((name) => !name.startsWith('countersign-crm-')), 10_000)
  }

  test('killed outright it leaves nothing behind that runs, and starts again', async () => {
    assert.equal(everythingOf().length, 7)
    world.process.kill('SIGKILL')
    await world.ended()
    await nothingIsLeft()
    world = await startWorld(place)
    assert.match((await paste(world.line(/psql.*customers/)).done).out, /London/)
  })

  test('Ctrl-C ends everything', async () => {
    world.process.kill('SIGINT')
    assert.equal(await world.ended(), 0)
    await nothingIsLeft()
  })

  test('where no database starts, it says so and does the rest', curl, async () => {
    world = await startWorld(place, { TMPDIR: join(place, 'nowhere') })
    assert.match(world.text(), /The part about databases is left out: .*nowhere/)
    assert.doesNotMatch(world.text(), /psql/)
    assert.match((await paste(world.line(/curl.*\/v1\/orders /)).done).out, /o-1003/)
    world.process.kill('SIGTERM')
    assert.equal(await world.ended(), 0)
  })
})
