import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { openJournal } from '../../src/audit/file-journal.ts'
import { openAside, withTextsAside } from '../../src/audit/texts-aside.ts'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import { logSigner } from '../../src/config/deployment-keys.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { finished, samples, started } from '../audit/audit-samples.ts'
import { makeShell } from '../cli/shell.ts'
import { configText, makeFolder } from '../config/folder.ts'
import { until } from '../support/until.ts'
import type { Run } from './loader.ts'
import { ask, statusText, vote } from './observation.ts'
import { fail } from './outcome.ts'
import { bearerOf } from './principals.ts'
import { put } from './translate.ts'
import { startWorld } from './world.ts'

/* M13: a hundred records; what somebody wrote in one of them is erased. */

export const isErasure = ({ given }: Run): boolean => given['state'] === '100 records; record 50 refers to a payload with personal data'

const demand = (holds: boolean, why: string): void => void (holds || fail(why))

const personal = 'Petra Muster of room 17 is ill and asked for this'

const filesUnder = (folder: string): readonly string[] => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))

/** A replica that is configured so: what an approver writes is read by the requester, and stands beside the log alone. */
const atWork = async (redisUrl: string | undefined): Promise<void> => {
  await using world = await startWorld({ change: ({ config }) => put(config, ['audit', 'texts'], 'aside'), ...(redisUrl === undefined ? {} : { redisUrl }) })
  const waiting = ask(world, 'http', `POST /admin/users HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${bearerOf('req-b', world.directory, world.now())}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`, { method: 'POST' })
  const held = (): string | undefined => world.events().flatMap((event) => (event.type === 'held' ? [event.hold] : []))[0]
  await until('it to be held', () => held() !== undefined)
  const said = await vote(world, 'appr-a', held() ?? '', 'deny', { reason: personal })
  demand(statusText(said) === '200', `the no was answered ${statusText(said)}`)
  const reply = await waiting
  demand(typeof reply === 'object' && reply.body.includes(personal), 'the requester does not read why')
  const holding = filesUnder(join(world.folder, 'proxy-a', 'journal')).filter((file) => readFileSync(file).includes('Petra Muster'))
  demand(holding.length === 1 && holding[0]?.includes('/aside/') === true, `the text stands in ${holding.join() || 'nothing'}`)
}

export const runErasure = async (redisUrl: string | undefined): Promise<void> => {
  await atWork(redisUrl)
  using folder = makeFolder()
  const config = withApprovalKey(await folder.config(configText('audit: { texts: aside }\n')))
  const { directory, replica } = config.journal
  await using shell = await makeShell({ COUNTERSIGN_CONFIG: join(folder.path, 'countersign.yaml') })
  const vote = samples.find((event): event is Extract<AuditEvent, { type: 'voted' }> => event.type === 'voted') ?? fail('no sample')
  {
    await using opened = await openJournal(config.journal, { now: Date.now, signer: logSigner(config), checkpointMs: 3_600_000 })
    const journal = withTextsAside(opened, openAside(directory, replica))
    for (let at = 0; at < 50; at++) await journal.append(at % 2 === 0 ? started(`try-${at}`) : finished(`try-${at - 1}`), 'queued')
    await journal.append({ ...vote, hold: 'hold_50', vote: { ...vote.vote, reason: personal } }, 'synced')
    for (let at = 51; at < 100; at++) await journal.append(at % 2 === 1 ? started(`try-${at}`) : finished(`try-${at - 1}`), 'queued')
    await journal.append({ type: 'released', hold: 'hold_50', code: 'CS-7F3K', digest: vote.digest, attempt: 'try-99', votes: [{ ...vote.vote, reason: personal }], policyVersion: 'v', heldUnder: 'v' }, 'synced')
  }
  const id = `${replica}/1/50`
  const holding = (): readonly string[] => filesUnder(directory).filter((file) => readFileSync(file).includes('Petra Muster'))
  const [kept = '', ...more] = holding()
  demand(more.length === 0 && kept.startsWith(`${directory}/${replica}/aside/`) && (statSync(kept).mode & 0o777) === 0o600, `the text stands in ${holding().join() || 'nothing'}`)
  const shown = await shell.run(['audit', 'show', 'hold_50', '-d', directory])
  demand(shown.out.includes(`  reason: ${personal}\n`), `it cannot be read: ${shown.out}`)
  demand((await shell.run(['audit', 'search', 'hold_50', '-d', directory])).code === 0, 'it is not indexed')

  demand((await shell.run(['audit', 'erase', id])).code === 2, 'it is erased without a reason')
  const erased = await shell.run(['audit', 'erase', id, '--why', 'request 17 of the person'])
  demand(erased.code === 0 && erased.out === `erased: reason of ${id}. On record as erasures/1/0.\n`, `${erased.out}${erased.err}`)
  demand(holding().length === 0, `the text still stands in ${holding().join()}`)
  demand(!filesUnder(`${directory}/${replica}/aside`).some((file) => file.endsWith(kept.split('/').at(-1) ?? '-')), 'the salt is still there')

  const verified = await shell.run(['audit', 'verify'])
  demand(verified.code === 0 && (verified.out.match(/^ok /gm) ?? []).length === 2, `the log does not verify: ${verified.out}`)
  const proof = await shell.run(['audit', 'prove', id])
  demand(proof.code === 0, 'the record cannot be proved any more')
  const lines = filesUnder(directory).filter((file) => file.endsWith('.ndjson')).flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n')).map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
  const record = lines.find((line) => line['id'] === id)
  demand(/^aside:sha256:[0-9a-f]{64}$/.test(String((record?.['vote'] as { readonly reason?: unknown } | undefined)?.reason)), 'the record holds no salted hash')
  const told = lines.find(({ type }) => type === 'erased')
  demand(told?.['record'] === id && told['cause'] === 'request 17 of the person' && typeof told['time'] === 'string' && (told['by'] as { readonly issuer?: unknown }).issuer === 'local', `on record is ${JSON.stringify(told)}`)
  demand((await shell.run(['audit', 'show', 'hold_50', '-d', directory])).out.includes('  reason: (erased)\n'), 'it is not shown as erased')
  demand((await shell.run(['audit', 'erase', id, '--why', 'again'])).code === 1, 'it is erased twice')
  demand((await shell.run(['audit', 'erase', `${replica}/1/51`, '--why', 'nothing there'])).code === 1, 'it erases what was never kept aside')
}
