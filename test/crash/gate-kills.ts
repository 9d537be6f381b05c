import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { ask, heldFor, listHolds, names, showHold, vote, type Reply } from '../scenarios/client.ts'
import { startDeployment, type Deployment, type Part, type StoreKind } from '../scenarios/deployment.ts'
import type { Replica } from '../scenarios/process.ts'
import { until } from '../support/until.ts'

/**
 * A replica dies by SIGKILL at one step of the gate, starts anew on the same state, and the client repeats its request.
 * Whatever the step: never two executions, never one without a record that was written before it, and nobody is told that nothing ran
 * when something may have.
 */
interface Kill {
  readonly at: string
  /** How often the service may have been asked by then. */
  readonly asked: readonly number[]
  /** In which states the hold may be once the replica is back; empty: there is none yet, or none that is on record. */
  readonly then: readonly string[]
  /** What the repeat comes to: it runs now, it gets the answer that was kept, or it hears that the approval is used. */
  readonly repeat: readonly ('runs' | 'replayed' | 'spent')[]
  /** The approver's vote goes to the replica that dies. */
  readonly votesHere?: true
}

const nothing = { asked: [0], repeat: ['runs'] } as const
const unsent = { asked: [0], then: ['unknown'], repeat: ['spent'] } as const
const sent = { asked: [1], then: ['unknown'], repeat: ['spent'] } as const
const over = { asked: [1], then: ['executed'], repeat: ['spent', 'replayed'] } as const

/** In order. Between the end of one call and the beginning of the next nothing can happen: where both would stand, one does. */
export const everyStep: readonly Kill[] = [
  { at: 'before journal decided', ...nothing, then: [] },
  { at: 'after journal decided', ...nothing, then: [] },
  { at: 'after store open', ...nothing, then: ['pending', 'approved'] },
  { at: 'after journal held', ...nothing, then: ['pending', 'approved'] },
  { at: 'before vote', ...nothing, then: ['pending'], votesHere: true },
  { at: 'before store approved', ...nothing, then: ['pending'], votesHere: true },
  { at: 'after store approved', ...nothing, then: ['approved'], votesHere: true },
  { at: 'after journal voted', ...nothing, then: ['approved'], votesHere: true },
  { at: 'after obtain', ...nothing, then: ['approved'] },
  { at: 'before store running', ...nothing, then: ['approved'] },
  { at: 'during store running', ...nothing, then: ['approved', 'failed'] },
  { at: 'after store running', ...nothing, then: ['failed'] },
  { at: 'after journal released', ...nothing, then: ['failed'] },
  { at: 'after spend', ...nothing, then: ['failed'] },
  { at: 'after lend', ...nothing, then: ['failed'] },
  { at: 'during journal started', asked: [0], then: ['failed', 'unknown'], repeat: ['runs', 'spent'] },
  { at: 'after journal started', ...unsent },
  { at: 'after dispatch', ...unsent, asked: [0, 1] },
  { at: 'at the service', ...sent },
  { at: 'before first byte', ...sent },
  { at: 'after first byte', ...sent },
  { at: 'before last byte', ...sent },
  { at: 'after last byte', ...sent },
  { at: 'before journal finished', ...sent },
  { at: 'during journal finished', asked: [1], then: ['unknown', 'executed'], repeat: ['spent'] },
  { at: 'after journal finished', ...over, repeat: ['spent'] },
  { at: 'during store executed', ...over, repeat: ['spent', 'replayed'] },
  { at: 'after store executed', ...over, repeat: ['replayed'] },
  { at: 'after finish', ...over, repeat: ['replayed'] },
]

const stopPoints = new URL('./stop-points.ts', import.meta.url).href

export const killAt = (kind: StoreKind, chosen: readonly Kill[]): void => {
  describe(`a replica is killed at each step of the gate, ${kind} store`, { concurrency: 2 }, () => {
    // Two rows of replicas side by side, each with its own installation: most of the time goes into starting programs.
    for (const row of [0, 1]) void describe(`row ${row + 1}`, { concurrency: 1 }, () => killRow(kind, chosen.filter((_, at) => at % 2 === row)))
  })
}

const killRow = (kind: StoreKind, row: readonly Kill[]): void => {
  let world: Deployment
  let other: Replica
  let victim: Replica
  let agent: string
  let bob: string
  let stopFile: string

  const begin = async (): Promise<Replica> => await world.start('victim', {}, { node: ['--import', stopPoints], env: { COUNTERSIGN_STOP_FILE: stopFile } })
  const arm = (point: string): void => writeFileSync(stopFile, point)

  before(async () => {
    world = await startDeployment(kind)
    ;[agent, bob] = [await world.agent(), await world.person('bob')]
    stopFile = join(world.directory, 'stop')
    arm('')
    other = await world.start('other') // one after the other: what was started is known when the next one fails
    victim = await begin()
  })
  after(() => world[Symbol.asyncDispose]())

  for (const [index, kill] of row.entries()) {
    test(kill.at, async () => {
      const path = `/refunds/${index}`
      const body = `{"amount":${index}}`
      if (kill.at === 'at the service') world.upstream.answer = () => void victim.process.kill('SIGKILL')
      arm(kill.at)
      // Where the vote is the step, nobody waits: else the release would go on beside it.
      const first = ask(victim.http, path, agent, { body, headers: kill.votesHere ? { prefer: 'wait=0' } : {} }).then((reply) => `${reply.status} ${reply.text}`, () => 'cut')
      const died = victim.ended()
      const held = await heldFor(other, bob, path, 'pending', () => victim.process.signalCode !== null).catch(() => undefined)
      if (held !== undefined) await vote(kill.votesHere ? victim : other, held.id, bob).catch(() => {})
      assert.equal(await Promise.race([died, first.then((text) => until('the replica to die', () => victim.process.signalCode ?? undefined, 3_000).catch(() => `answered ${text}`))]), 'SIGKILL')
      arm('')
      world.upstream.answer = undefined
      await recorded(path)
      assert.ok(kill.asked.includes(world.upstream.executions(path)), `the service was asked ${world.upstream.executions(path)} times`)

      // Somebody else who repeats it meanwhile must not run what may be running.
      if (kill.then.includes('unknown') || kill.then.includes('executed')) {
        const elsewhere = await ask(other.http, path, agent, { body, headers: { prefer: 'wait=0' } })
        assert.ok(elsewhere.code === 'hold-spent' || kill.repeat.includes('runs') || elsewhere.headers.get('countersign-replayed') === 'true', elsewhere.text)
      }

      victim = await begin()
      const state = held === undefined ? await found(path) : (await showHold(other, held.id, bob)).state
      assert.ok(kill.then.length === 0 ? state === undefined : kill.then.includes(state ?? 'none'), `the hold is ${state}`)

      const before = world.upstream.executions(path)
      const repeat = await repeated(path, body)
      const ran = world.upstream.executions(path) - before
      const came = repeat.headers.get('countersign-replayed') === 'true' ? 'replayed' : repeat.status === 200 ? 'runs' : repeat.code === 'hold-spent' ? 'spent' : `${repeat.status} ${repeat.text}`
      assert.ok((kill.repeat as readonly string[]).includes(came), `the repeat: ${came}`)
      assert.equal(ran, came === 'runs' ? 1 : 0, 'executions by the repeat')
      assert.ok(world.upstream.executions(path) <= 1, 'executions')
      await recorded(path)
      if (held !== undefined) assert.ok(['executed', 'failed', 'unknown'].includes((await showHold(other, held.id, bob)).state) || before === 0)
    })
  }

  const found = async (path: string): Promise<string | undefined> => {
    for (const state of ['pending', 'approved', 'running', 'failed', 'unknown', 'executed']) {
      const hold = (await listHolds(other, bob, state)).find((one) => names(one.preview, path))
      if (hold) return hold.state
    }
    return undefined
  }

  /** The client comes back with the identical request; whoever is asked says yes. */
  const repeated = async (path: string, body: string): Promise<Reply> => {
    let reply: Reply | undefined
    const asking = ask(victim.http, path, agent, { body }).then((answer) => (reply = answer))
    await until('an answer to the repeat', async () => {
      if (reply === undefined) for (const hold of await listHolds(other, bob)) if (names(hold.preview, path)) await vote(other, hold.id, bob)
      if (reply === undefined) await pause(25)
      return reply !== undefined
    }, 15_000)
    return await asking
  }

  /** Each execution at the service has a record of its start, in some journal, that was written before. */
  const recorded = async (path: string): Promise<void> => {
    const starts = world.records().filter((record) => record.type === 'started' && resourcesOf(record).includes(path))
    assert.ok(starts.length >= world.upstream.executions(path), 'an execution without a record of its start')
  }
}

const resourcesOf = (record: Part): string => JSON.stringify((record['action'] as { readonly resources?: unknown } | undefined)?.resources ?? '')
