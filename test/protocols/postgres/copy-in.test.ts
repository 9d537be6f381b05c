import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { CopyIn } from '../../../src/protocols/postgres/copy-in.ts'
import type { Dialogue } from '../../../src/protocols/postgres/dialogue.ts'
import { Execution } from '../../../src/protocols/postgres/execution.ts'
import { Pipeline } from '../../../src/protocols/postgres/pipeline.ts'
import { copyData, copyDone } from './session/raw-client.ts'

const frame = (bytes: Buffer) => ({ type: bytes[0] as number, bytes })

test('of two in one batch each takes its own rows, however late the server says that the first is done', async () => {
  const pipeline = new Pipeline()
  const sent: Buffer[] = []
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await turn()
  }
  const copyIn = new CopyIn({ pipeline, until, write: () => true, sendUnanswered: (bytes: Buffer) => void sent.push(bytes) } as unknown as Dialogue)
  const [one, other] = [new Execution(), new Execution()]

  pipeline.send({ kind: 'execute', execution: one, copyIn: true })
  const first = copyIn.ofExecute(one)
  pipeline.copyBegins()
  await first
  assert.ok(copyIn.takes())
  copyIn.take(frame(copyDone))
  assert.ok(!copyIn.takes())

  pipeline.send({ kind: 'execute', execution: other, copyIn: true })
  let begun = false
  const second = copyIn.ofExecute(other).then(() => (begun = true))
  for (let turns = 0; turns < 5; turns++) await turn()
  assert.ok(!begun, 'the first is not over, and the second has not begun')
  pipeline.commandDone('COPY 0')
  for (let turns = 0; turns < 5; turns++) await turn()
  assert.ok(!begun, 'the second has not begun')
  pipeline.copyBegins()
  await second
  assert.ok(copyIn.takes())
  copyIn.take(frame(copyData('row\n')))
  assert.deepEqual(sent.map(([type]) => String.fromCharCode(type as number)), ['c', 'd'])
})
