import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Execution } from '../../../../src/protocols/postgres/execution.ts'
import { Namespace } from '../../../../src/protocols/postgres/namespace.ts'
import { OutOfStep, Pipeline, type Sent, type SentKind } from '../../../../src/protocols/postgres/pipeline.ts'
import type { StatementReading } from '../../../../src/protocols/postgres/sql/reading.ts'
import { SessionState } from '../../../../src/protocols/postgres/state.ts'
import { makePoison, poisonedExecute, poisonedQuery } from '../../../../src/protocols/postgres/poison.ts'

const I = 0x49
const T = 0x54
const error = Buffer.from('E....SERROR\0')

const make = () => {
  const said: string[] = []
  const pipeline = new Pipeline()
  const send = (kind: SentKind, label: string = kind, poison?: Sent['poison']): void =>
    pipeline.send({
      kind,
      ...(poison === undefined ? {} : { poison }),
      done: (tag) => void said.push(`${label} done${tag === undefined ? '' : ` ${tag}`}`),
      suspended: () => void said.push(`${label} suspended`),
      failed: (bytes) => void said.push(`${label} ${bytes === undefined ? 'skipped' : 'failed'}`),
      ended: (status) => void said.push(`${label} ended ${status}`),
    })
  return { pipeline, said, send }
}

describe('answers belong to what was sent', () => {
  test('at which action the server works', () => {
    const pipeline = new Pipeline()
    const actions = Array.from({ length: 2_000 }, () => new Execution())
    assert.equal(pipeline.running, undefined)
    pipeline.send({ kind: 'parse' })
    assert.equal(pipeline.running, undefined)
    for (const execution of actions) {
      pipeline.send({ kind: 'bind' })
      pipeline.send({ kind: 'execute', execution })
    }
    pipeline.completed('parse')
    for (const [at, execution] of actions.entries()) {
      assert.equal(pipeline.running, execution, String(at))
      pipeline.completed('bind')
      assert.equal(pipeline.running, execution, String(at))
      pipeline.commandDone('SELECT 1')
    }
    assert.equal(pipeline.running, undefined)
    const last = new Execution()
    pipeline.send({ kind: 'execute', execution: last })
    assert.equal(pipeline.running, last)
    pipeline.abandon()
    assert.equal(pipeline.running, undefined)
  })

  test('a batch that works, and a query of two statements', () => {
    const { pipeline, said, send } = make()
    for (const kind of ['parse', 'bind', 'describe', 'execute', 'sync'] as const) send(kind)
    pipeline.completed('parse')
    pipeline.completed('bind')
    pipeline.described()
    pipeline.commandDone('SELECT 1')
    pipeline.ready(I)
    send('query')
    pipeline.commandDone('BEGIN')
    pipeline.described()
    pipeline.commandDone('SELECT 2')
    pipeline.ready(T)
    assert.deepEqual(said, ['parse done', 'bind done', 'describe done', 'execute done SELECT 1', 'sync ended idle', 'query done BEGIN', 'query done SELECT 2', 'query ended open'])
    assert.deepEqual([pipeline.status, pipeline.size, pipeline.batch, pipeline.answered], ['open', 0, 2, 2])
  })

  test('after an error the server skips to the Sync that is on its way, and no further', () => {
    const { pipeline, said, send } = make()
    send('execute', 'a')
    send('execute', 'b')
    send('sync')
    send('query', 'c')
    assert.equal(pipeline.errorCame(error), error)
    assert.deepEqual(said, ['a failed', 'b skipped', 'b ended idle'])
    assert.equal(pipeline.skipping, false)
    pipeline.ready(I)
    pipeline.commandDone('SELECT 1')
    pipeline.ready(I)
    assert.deepEqual(said.slice(3), ['sync ended idle', 'c done SELECT 1', 'c ended idle'])
  })

  test('an error without a Sync: what follows is skipped, a Query too, until one is sent', () => {
    const { pipeline, said, send } = make()
    send('parse')
    send('query')
    pipeline.errorCame(error)
    assert.deepEqual(said, ['parse failed', 'query skipped', 'query ended idle'])
    assert.deepEqual([pipeline.skipping, pipeline.open, pipeline.size], [true, true, 0])
    assert.throws(() => send('bind'))
    send('sync')
    assert.equal(pipeline.skipping, false)
    pipeline.ready(I)
    assert.deepEqual([pipeline.batch, pipeline.answered], [2, 2])
  })

  test('an error that names the nonce becomes ours, once; another error in its place stays what it is', () => {
    const { pipeline, send } = make()
    const answer = Buffer.from('ours')
    const poison = makePoison(answer)
    assert.ok(poisonedQuery(poison).includes(poison.nonce) && poisonedExecute(poison).includes(poison.nonce))
    const names = Buffer.from(`E0000 syntax error at or near "${poison.nonce}"`)
    send('query', 'first')
    send('query', 'second', poison)
    assert.equal(pipeline.errorCame(names), names, 'the nonce of another message')
    pipeline.ready(I)
    assert.equal(pipeline.errorCame(names), answer)
    pipeline.ready(I)
    send('query', 'third', makePoison(answer))
    assert.equal(pipeline.errorCame(error), error)
  })

  test('behind a poison in the extended protocol nothing is sent but Sync', () => {
    const { pipeline, send } = make()
    send('execute', 'no', makePoison(error))
    assert.throws(() => send('parse'))
    send('sync')
    send('parse')
    assert.equal(pipeline.open, true)
  })

  test('an answer that nothing was asked for ends it', () => {
    const { pipeline, send } = make()
    assert.throws(() => pipeline.ready(I), OutOfStep)
    send('bind')
    assert.throws(() => pipeline.completed('parse'), OutOfStep)
    assert.throws(() => pipeline.ready(I), OutOfStep)
    send('sync')
    pipeline.completed('bind')
    assert.throws(() => pipeline.ready(0x58), OutOfStep)
  })
})

describe('names', () => {
  test('a change counts at once in its own batch, later batches wait for the answer', () => {
    const names = new Namespace<string>(10, () => 1)
    const change = names.change('s', 'one', 0)
    assert.equal(names.find('s', 0), 'one')
    assert.equal(names.find('s', 1), 'unsure')
    assert.equal(names.find('t', 1), undefined)
    change.happened()
    assert.equal(names.find('s', 1), 'one')
  })

  test('what is dropped leaves no trace', () => {
    const names = new Namespace<string>(10, () => 1)
    names.set('s', 'one')
    const closed = names.change('s', undefined, 0)
    const made = names.change('s', 'two', 0)
    assert.equal(names.find('s', 0), 'two')
    made.dropped()
    assert.equal(names.find('s', 0), undefined)
    closed.dropped()
    assert.equal(names.find('s', 0), 'one')
  })

  test('a name that was taken is unsure until the server has said so', () => {
    const names = new Namespace<string>(10, () => 1)
    names.set('s', 'one')
    const again = names.change('s', 'two', 0, true)
    assert.equal(names.find('s', 0), 'unsure')
    again.dropped()
    assert.equal(names.find('s', 0), 'one')
  })

  test('all names at once, and those that do not live on', () => {
    const names = new Namespace<string>(2, () => 1)
    names.set('a', 'x')
    names.set('b', 'y')
    assert.equal(names.full, true)
    names.keep((value) => value === 'y')
    assert.equal(names.find('a', 0), undefined)
    const all = names.change(undefined, undefined, 0)
    assert.equal(names.find('b', 0), undefined)
    all.happened()
    assert.equal(names.confirmed('b'), undefined)
  })

  test('there is room for so many, and for so much', () => {
    const left: string[] = []
    const names = new Namespace<string>(10, (value) => value.length, (value) => void left.push(value.slice(0, 1)))
    const large = 'a'.repeat(20 << 20)
    names.change('a', large, 0).happened()
    assert.equal(names.full, false)
    const second = names.change('b', large, 0)
    assert.equal(names.full, true)
    second.dropped()
    second.dropped()
    assert.equal(names.full, false)
    names.change('b', large, 0).happened()
    assert.equal(names.full, true)
    names.set('a', 'z')
    assert.equal(names.full, false)
    names.set(undefined, undefined)
    names.set('a', large)
    assert.equal(names.full, false)
    assert.deepEqual(left, ['a', 'z', 'a'])
  })

  test('SQL makes no name where there is no room for it', () => {
    const state = new SessionState()
    const does = (control: StatementReading['control']): StatementReading => ({ control }) as unknown as StatementReading
    const body = does(undefined)
    const prepare = does({ does: 'prepare', name: 'p', body })
    assert.equal(state.lacksRoom(prepare), false)
    state.statements.set('large', { sql: 'a'.repeat(33 << 20), reading: body, types: [], then: undefined })
    assert.equal(state.lacksRoom(prepare), true)
    assert.equal(state.lacksRoom(does({ does: 'deallocate', name: 'large' })), false)
    state.statements.set('large', undefined)
    assert.equal(state.lacksRoom(prepare), false)
  })
})
