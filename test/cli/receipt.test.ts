import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { challengeOf, statementOf } from '../../src/approval/spoken-yes.ts'
import { longestEnvelope } from '../../src/audit/receipts/envelope.ts'
import { openJournal } from '../../src/audit/file-journal.ts'
import { signShortReceipt } from '../../src/audit/receipts/short-receipt.ts'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import { logSigner } from '../../src/config/deployment-keys.ts'
import { keySetText } from '../../src/lib/json-web-key.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { options } from '../audit/audit-samples.ts'
import { receiptOfStory, signer, story, storyAt, stranger } from '../audit/receipt-world.ts'
import { configText, makeFolder } from '../config/folder.ts'
import { softPasskey } from '../support/authenticator.ts'
import { makeShell } from './shell.ts'

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

/** The story with a yes that a passkey signed. */
const signedStory = (signedFor: string): readonly AuditEvent[] =>
  story.map((event) => {
    if (event.type !== 'voted') return event.type === 'released' ? { ...event, votes: [] } : event
    const passkey = softPasskey()
    const statement = statementOf({ console: 'https://approvals.example.org', deployment: 'prod', hold: signedFor, action: event.vote.digest, verdict: 'approve', voter: { issuer: event.vote.by.issuer, subject: event.vote.by.subject }, nonce: 'n', until: 9e12 })
    const { clientData, authenticatorData, signature } = passkey.get({ origin: 'https://approvals.example.org', challenge: challengeOf(statement) })
    const { reason: _reason, ...vote } = event.vote
    return { ...event, vote: { ...vote, at: Date.parse('2026-11-21T18:00:02Z'), assurance: 'passkey', evidence: { statement, passkey: base64url(passkey.id), publicKey: base64url(passkey.publicKey), clientData: base64url(clientData), authenticatorData: base64url(authenticatorData), signature: base64url(signature) } } } as AuditEvent
  })

describe('receipt', () => {
  test('verify explains each thing that it looked at, and has an exit code for each way to be wrong', async () => {
    await using shell = await makeShell()
    const { text, lines } = receiptOfStory()
    const [file, records] = [join(shell.home, 'receipt.json'), join(shell.home, 'records.ndjson')]
    writeFileSync(records, lines.join('\n'))
    const verify = async (content: string, ...more: readonly string[]) => {
      writeFileSync(file, content)
      return await shell.run(['receipt', 'verify', file, '--key', signer.verifier, ...more])
    }
    const good = await verify(text, '--records', records)
    assert.deepEqual([good.code, good.out.split('\n').map((line) => line.slice(0, 18).trim()).slice(0, 7)], [0, ['ok      signature', 'ok      action', 'ok      votes', 'ok      order', 'ok      decision', 'ok      effect', 'ok      records']])
    assert.match(good.out, /Vote {8}yes of bob at https:\/\/idp\.test, by console \(console\)/)
    assert.match((await verify(text)).out, /note {4}records {4}it names 6 records of the log, which were not given/)
    assert.deepEqual(JSON.parse((await verify(text, '-o', 'json')).out).receipt.predicate.case, { attempts: ['try-1'], code: 'CS-7F3K', hold: 'hold_1' })

    writeFileSync(records, lines.slice(2).join('\n'))
    assert.equal((await verify(text, '--records', records)).code, 10)
    assert.equal((await verify('{}')).code, 15)
    assert.equal((await verify(text.replace(/"sig":"./, (part) => `${part.slice(0, -1)}${part.endsWith('A') ? 'B' : 'A'}`))).code, 18)
    assert.equal((await verify(receiptOfStory(story, [stranger]).text)).code, 20)
    const bad = await verify(receiptOfStory(story.map((event) => (event.type === 'voted' ? { ...event, vote: { ...event.vote, digest: `sha256:${'0'.repeat(64)}` } } : event) as AuditEvent)).text)
    assert.deepEqual([bad.code, /NOT OK {2}votes {6}bob voted about another action/.test(bad.out), bad.out.includes('Vote  ')], [21, true, false])
    assert.equal((await verify('x'.repeat(longestEnvelope + 1))).code, 15)
    const hostile = await verify(receiptOfStory(story.map((event) => ('caller' in event ? { ...event, caller: { ...event.caller, subject: '\u001b[2Jgone\u202e' } } : event) as AuditEvent)).text)
    assert.deepEqual([hostile.code, hostile.out.includes('\u001b') || hostile.out.includes('\u202e')], [0, false])
  })

  test('keys come from whoever checks, and only those of receipts count', async () => {
    await using shell = await makeShell()
    const [file, keys] = [join(shell.home, 'receipt.json'), join(shell.home, 'keys')]
    writeFileSync(file, receiptOfStory().text)
    const verify = async (content: string) => {
      writeFileSync(keys, content)
      return (await shell.run(['receipt', 'verify', file, '--key', keys])).code
    }
    assert.equal(await verify(`# of the auditors\n${stranger.verifier}\n${signer.verifier}\n`), 0)
    assert.equal(await verify(keySetText([stranger.key, signer.key])), 0)
    assert.equal(await verify(keySetText([stranger.key])), 20)
    assert.equal(await verify('{"keys":[{"kty":"EC"}]}'), 2)
    assert.equal(await verify(keySetText([signer.key]).replace('EdDSA', 'HS256')), 2)
    assert.equal(await verify('nonsense'), 2)
    // The key of the log is made for something else.
    assert.equal(await verify('prod+00000000+AAAA'), 2)
    assert.equal((await shell.run(['receipt', 'verify', file])).code, 3, 'no keys and no configuration')
  })

  test('a yes that a passkey signed is checked by the key of the person', async () => {
    await using shell = await makeShell()
    const file = join(shell.home, 'receipt.json')
    const verify = async (hold: string) => {
      writeFileSync(file, receiptOfStory(signedStory(hold)).text)
      return await shell.run(['receipt', 'verify', file, '--key', signer.verifier])
    }
    const good = await verify('hold_1')
    assert.deepEqual([good.code, /ok {6}passkey {4}bob signed this very yes/.test(good.out)], [0, true], good.out)
    const other = await verify('hold_2')
    assert.deepEqual([other.code, /NOT OK {2}passkey {4}bob: another hold was signed/.test(other.out)], [21, true], other.out)
  })

  test('a header is checked by the same command', async () => {
    await using shell = await makeShell()
    const token = await signShortReceipt({ iss: 'prod', sub: `sha256:${'ab'.repeat(32)}`, iat: 1_795_000_000, decision: 'approved', rule: 'orders/write', policy: 'v', approvers: 1, case: 'CS-7F3K', attempt: 'try-1' }, signer)
    const file = join(shell.home, 'token')
    writeFileSync(file, `${token}\n`)
    const good = await shell.run(['receipt', 'verify', file, '--key', signer.verifier])
    assert.deepEqual([good.code, /approved {2}sha256:abab.*1 said yes/.test(good.out)], [0, true])
    assert.equal((await shell.run(['receipt', 'verify', file, '--key', signer.verifier.replace(/^prod/, 'test')])).code, 2, 'the name belongs to the key')
    assert.equal((await shell.run(['receipt', 'verify', file, '--key', stranger.verifier])).code, 20)
  })

  test('who may read the files and the key makes one without a server', async () => {
    using folder = makeFolder()
    const config = withApprovalKey(await folder.config(configText()))
    await using shell = await makeShell({ COUNTERSIGN_CONFIG: join(folder.path, 'countersign.yaml') })
    {
      await using journal = await openJournal(options(config.journal.directory), { now: Date.now, signer: logSigner(config) })
      for (const event of storyAt(Date.now())) await journal.append(event, 'written')
    }
    const shown = await shell.run(['receipt', 'show', 'CS-7F3K', '--directory', config.journal.directory])
    assert.equal(shown.code, 0, shown.err)
    const [file, records] = [join(shell.home, 'receipt.json'), join(shell.home, 'records.ndjson')]
    writeFileSync(file, shown.out)
    writeFileSync(records, (await shell.run(['audit', 'show', 'hold_1', '--directory', config.journal.directory, '-o', 'json'])).out)
    writeFileSync(join(shell.home, 'auditor.keys'), (await shell.run(['audit', 'key'])).out)
    const verified = await shell.run(['receipt', 'verify', file, '--key', join(shell.home, 'auditor.keys'), '--records', records])
    assert.deepEqual([verified.code, /ok {6}records {4}all 6 records/.test(verified.out)], [0, true], verified.out)
    assert.equal((await shell.run(['audit', 'verify', '--directory', config.journal.directory, '--key', join(shell.home, 'auditor.keys')])).code, 0, 'one file of keys is for both')
    assert.match((await shell.run(['receipt', 'show', 'try-1', '-o', 'table', '--directory', config.journal.directory])).out, /Decision {4}approved; policies/)
    assert.equal((await shell.run(['receipt', 'show', 'CS-NONE', '--directory', config.journal.directory])).code, 1)
    assert.ok(readFileSync(file, 'utf8').length < 10_000)
  })
})
