import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { shortCode } from '../../../src/approval/hold-name.ts'
import { clickOf } from '../../channels/slack/fake-slack.ts'
import { makeShell } from '../../cli/shell.ts'
import { until } from '../../support/until.ts'
import { digestOfHold } from '../exchange.ts'
import { api, ask, jsonOf, statusText, vote } from '../observation.ts'
import type { Digest } from '../../../src/model/action.ts'
import { fail } from '../outcome.ts'
import { browserOf } from '../passkeys.ts'
import { bearerOf } from '../principals.ts'
import { linkAccounts, postToSlackHook, shown, sign } from '../slack.ts'
import { reach } from '../tampering.ts'
import { fieldsOf } from './messages.ts'
import { senderOf } from './pg-beside.ts'
import { playOf, sendPlay, settle, type PgObservation } from './play.ts'
import { errorsIn, heard } from './raw-client.ts'

/* One action as its requester and its approvers see it: by its code, and when somebody has changed it in the store. */

const holdOf = (seen: PgObservation): string => seen.exchanges.find(({ ref }) => ref === 'r1')?.holds.at(-1) ?? fail('r1 was not held')

const slackOf = ({ place }: PgObservation) => place.world.slack?.fake ?? fail('there is no Slack')

const codeIn = (where: string, text: string): string => /\bCS-[0-9B-Z]{4}\b/.exec(text)?.[0] ?? fail(`${where} has no code: ${text.slice(0, 300)}`)

/** Its name leads nowhere here: what is sent to this port goes to the console under its name. */
const doorTo = async (port: number) => {
  const server = createServer((asked, answer) => {
    const onward = request({ host: '127.0.0.1', port, method: asked.method, path: asked.url, headers: { ...asked.headers, host: 'console.test' } }, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers)
      got.pipe(answer)
    })
    onward.on('error', () => answer.destroy())
    asked.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  } }
}

/** `countersign holds show`, as the one who asked. */
const atTerminal = async ({ place }: PgObservation, hold: string): Promise<string> => {
  const { world } = place
  await using door = await doorTo(world.first().ports.console)
  await using shell = await makeShell({ COUNTERSIGN_SERVER: `http://127.0.0.1:${door.port}`, COUNTERSIGN_TOKEN: bearerOf('req-a', world.directory, world.now()) })
  const { out, err } = await shell.run(['holds', 'show', hold])
  return `${out}${err}`
}

const inConsole = async ({ place }: PgObservation, hold: string): Promise<string> => (await (await browserOf({ world: place.world }, 'appr-a')).get(`/holds/${hold}`)).text

export const readCodes = async (seen: PgObservation): Promise<void> => {
  const hold = holdOf(seen)
  const notices = seen.exchanges.flatMap(({ client }) => heard(client).filter(({ type }) => type === 'N').map(({ body }) => fieldsOf(body)['M'] ?? ''))
  const codes = {
    terminal: codeIn('the terminal', await atTerminal(seen, hold)),
    slack: codeIn('the message in Slack', JSON.stringify((await shown(slackOf(seen), hold)).blocks)),
    console: codeIn('the console', await inConsole(seen, hold)),
    notice: codeIn('the notice', notices.join('\n')),
  }
  seen.found.set('codes', codes)
}

export const sameCodes = (seen: PgObservation): void => {
  const codes = Object.values((seen.found.get('codes') ?? fail('no codes were read')) as Record<string, string>)
  const wanted = shortCode(digestOfHold(seen.place.world, holdOf(seen)) as Digest)
  if (codes.length !== 4 || codes.some((code) => code !== wanted)) fail(`the codes are ${codes.join()}, and that of the digest is ${wanted}`)
}

/** Whoever reaches the store puts another statement, with its own digest, in the place of the one that was asked for; the requester comes back later. */
export const replaceStatement = async (seen: PgObservation): Promise<void> => {
  for (const exchange of seen.exchanges) {
    exchange.client.end()
    exchange.end ??= exchange.client.said.length
  }
  await reach(seen.place.world, async (access) => await access.replaceAsked(holdOf(seen), (asked) => {
    const record = JSON.parse(asked) as { action: Record<string, unknown> }
    record.action = { ...record.action, text: 'DELETE FROM t WHERE id = 2', digest: `sha256:${'1'.repeat(64)}` }
    return JSON.stringify(record)
  }))
}

const said = /does not match the digest/

/** A click on the old message, by somebody who may approve: told so, and the message says so from now on. */
const clickedInSlack = async (seen: PgObservation, hold: string): Promise<string> => {
  const { world } = seen.place
  const fake = slackOf(seen)
  await linkAccounts({ world })
  const message = await shown(fake, hold)
  const payload = clickOf({ user: 'U-APPR-A', team: 'T0HOME' }, message, { action_id: 'countersign.approve', value: `${hold}.${digestOfHold(world, hold)}` })
  const reply = await ask(world, 'console', postToSlackHook(sign(payload, { signature: 'valid' }, { world, sender: senderOf(seen) })), { method: 'POST' })
  if (statusText(reply) !== '200') fail(`the click was answered ${statusText(reply)}`)
  const whisper = await until('an answer to the click', () => fake.whispers.at(-1))
  await until('the message to say so', () => said.test(JSON.stringify(message.blocks)))
  if (JSON.stringify(message.blocks).includes('countersign.approve')) fail('the message still has a button that approves')
  return JSON.stringify(whisper.blocks)
}

export const distrustedEverywhere = async (seen: PgObservation): Promise<void> => {
  const { world, relay } = seen.place
  const hold = holdOf(seen)
  const [first] = seen.exchanges
  const voted = await vote(world, 'appr-a', hold, 'approve')
  const again = await sendPlay(seen, playOf(seen, { pg: first?.texts[0] ?? '' }, 'simple'), { ref: 'again', as: 'req-a' })
  await settle(seen, again)
  const views: Readonly<Record<string, string>> = {
    vote: JSON.stringify(jsonOf(voted)),
    api: JSON.stringify(jsonOf(await api(world, 'appr-a', 'GET', `/api/holds/${hold}`))),
    terminal: await atTerminal(seen, hold),
    console: await inConsole(seen, hold),
    slack: await clickedInSlack(seen, hold),
    postgres: errorsIn(heard(again.client)).map(({ M = '' }) => M).join('\n'),
  }
  for (const [view, text] of Object.entries(views)) if (!said.test(text)) fail(`${view} does not say that it was changed: ${text.slice(0, 300)}`)
  if (typeof voted !== 'object' || voted.status < 400) fail(`the vote was answered ${statusText(voted)}`)
  if (world.events().some(({ type }) => type === 'voted' || type === 'released' || type === 'started')) fail('something was approved or ran')
  if (!world.events().some((event) => event.type === 'store-tampered' && event.hold === hold)) fail('it is not on record that the store was changed')
  if (relay.ran().some((sql) => /^delete/i.test(String(sql)))) fail('the statement ran')
}
