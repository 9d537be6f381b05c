import { createInterface } from 'node:readline'
import { z } from 'zod'
import { mostTogether } from '../approval/together.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { connect, type ApiClient, type ServerChoice } from './api-client.ts'
import { checkedAnswer, getHold, resolveHold, type HoldDetail } from './hold-answer.ts'
import { holdText } from './hold-text.ts'
import { exit, Failure, type Io } from './io.ts'
import { toJson, toYaml } from './rendering.ts'

/** So many can be named at one time. */
export const mostNamed = mostTogether

const fates = z.looseObject({ results: z.array(z.looseObject({ id: z.string(), status: z.number(), state: z.string().optional(), problem: z.looseObject({ detail: z.string() }).optional() })) })

type Values = ServerChoice & { readonly reason?: string | undefined; readonly output?: string | undefined }

const named = async (client: ApiClient, names: readonly string[]): Promise<readonly HoldDetail[]> => {
  const holds: HoldDetail[] = []
  for (const name of names) {
    const hold = await getHold(client, await resolveHold(client, name))
    if (holds.some(({ id }) => id === hold.id)) throw new Failure(`${terminalText(hold.code)} is named twice; nothing was decided`, exit.usage)
    holds.push(hold)
  }
  return holds
}

const send = async (client: ApiClient, verdict: 'approve' | 'deny', holds: readonly HoldDetail[], { reason, output }: Values, io: Io): Promise<number> => {
  const { results } = checkedAnswer(fates, await client.post('/api/votes', { verdict, holds: holds.map(({ id, revision, action }) => ({ id, digest: action.digest, revision })), ...(reason === undefined ? {} : { reason }) }))
  if (output === 'json') io.stdout.write(toJson({ results }))
  else if (output === 'yaml') io.stdout.write(toYaml({ results }))
  for (const { id, status, state, problem } of results) {
    const code = terminalText(holds.find((hold) => hold.id === id)?.code ?? id)
    if (status !== 200) io.stderr.write(`${code} was not decided: ${terminalText(problem?.detail ?? `the server answered ${status}`)}\n`)
    else if (output === undefined || output === 'table') io.stdout.write(`${code} is ${terminalText(state ?? 'decided')}\n`)
  }
  if (results.every(({ status }) => status === 200)) return exit.ok
  return results.some(({ status }) => status === 403) ? exit.denied : exit.failure
}

/** Each is shown whole, and only that whose own code is typed under it is among them. */
export const approveSeveral = async (names: readonly string[], values: Values, io: Io): Promise<number> => {
  if (io.stdin.isTTY !== true || io.stderr.isTTY !== true) throw new Failure('several at a time take a terminal to ask at. In a script, approve one after the other', exit.usage)
  const client = await connect(values, io)
  const holds = await named(client, names)
  const lines = createInterface({ input: io.stdin as unknown as NodeJS.ReadableStream, terminal: false, signal: io.signal })
  const answers = lines[Symbol.asyncIterator]()
  const ask = async (question: string): Promise<string> => {
    io.stderr.write(question)
    const answer = await answers.next()
    return answer.done ? '' : answer.value.trim()
  }
  const chosen: HoldDetail[] = []
  let { reason } = values
  try {
    for (const [at, hold] of holds.entries()) {
      io.stderr.write(`\n${at + 1} of ${holds.length}\n${holdText(hold, io)}\n`)
      const code = terminalText(hold.code)
      if (hold.action.textCut) io.stderr.write(`${code} is longer than can be shown and is left out.\n`)
      else if ((await ask(`Type ${code} to take exactly this along, anything else to leave it out: `)).toUpperCase() === hold.code) chosen.push(hold)
    }
    if (chosen.length === 0) throw new Failure('nothing was approved')
    if (reason === undefined && chosen.some(({ terms }) => terms.askReason)) reason = (await ask('Why, for all of them? ')) || undefined
  } finally {
    lines.close()
  }
  return await send(client, 'approve', chosen, { ...values, reason }, io)
}

/** A no to all of them, with one reason. */
export const denySeveral = async (names: readonly string[], values: Values, io: Io): Promise<number> => {
  const client = await connect(values, io)
  return await send(client, 'deny', await named(client, names), values, io)
}
