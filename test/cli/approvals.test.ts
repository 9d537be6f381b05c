import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { challengeOf, reasonDigest, statementOf, type SpokenYes } from '../../src/approval/spoken-yes.ts'
import { eventText } from '../../src/audit/event-text.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import type { PasskeyEvidence, Vote } from '../../src/model/hold.ts'
import { makeHold, person } from '../channels/web/hold-desk.ts'
import { softPasskey } from '../support/authenticator.ts'
import { makeShell } from './shell.ts'

const console = 'https://approvals.example.org'
const bob = person('bob', 'security')
const reason = 'Agreed with finance.\nSee \u202eticket 4711.'
const passkey = softPasskey()
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
const votedAt = Date.parse('2026-11-21T18:00:00Z')

const signed = (yes: SpokenYes): PasskeyEvidence => {
  const statement = statementOf(yes)
  const { clientData, authenticatorData, signature } = passkey.get({ origin: console, challenge: challengeOf(statement) })
  return { statement, passkey: text(passkey.id), publicKey: text(passkey.publicKey), clientData: text(clientData), authenticatorData: text(authenticatorData), signature: text(signature) }
}

const hold = makeHold()
const yesWith = (words: string): SpokenYes => ({ console, deployment: 'production', hold: hold.id, action: hold.action.digest, verdict: 'approve', reason: reasonDigest(words)!, shown: 'console/1 sha256:x', voter: { issuer: bob.issuer, subject: bob.subject }, nonce: 'n', until: votedAt + 60_000 })
const voteWith = (words: string, over: Partial<Vote> = {}): Vote => ({ verdict: 'approve', by: { issuer: bob.issuer, subject: bob.subject, kind: 'human', groups: ['security'] }, channel: 'console', assurance: 'passkey', digest: hold.action.digest, reason: words, shown: 'console/1 sha256:x', evidence: signed(yesWith(words)), at: votedAt, ...over })
/** As `holds show -o json` prints it. */
const shown = (...votes: readonly Vote[]): string => JSON.stringify({ id: hold.id, state: 'approved', votes: votes.map((vote) => ({ ...vote, at: new Date(vote.at).toISOString() })) }, undefined, 2)

let seq = 0
const line = (time: string, event: AuditEvent): string => `{${eventText(event, `"v":1,"id":"r1/1/${++seq}","seq":${seq},"prev":"${'A'.repeat(43)}=","time":"${time}",`)}`
const voted = (vote: Vote): string => line('2026-11-21T18:00:00.001Z', { type: 'voted', hold: hold.id, code: hold.code, digest: hold.action.digest, state: 'approved', vote })
const change = (time: string, type: 'passkey-added' | 'passkey-removed', over: { readonly subject?: string; readonly publicKey?: string } = {}): string =>
  line(time, { type, caller: { ...bob, subject: over.subject ?? 'bob' }, passkey: { id: text(passkey.id), name: 'laptop', publicKey: over.publicKey ?? text(passkey.publicKey), synced: false } })

const verify = async (content: string, ...more: readonly string[]) => {
  await using shell = await makeShell()
  writeFileSync(join(shell.home, 'file'), content)
  return shell.run(['approvals', 'verify', 'file', ...more])
}

describe('approvals verify', () => {
  test('says yes to what was signed, and what that was', async () => {
    const { code, out } = await verify(shown(voteWith(reason)), '--console', console, '--deployment', 'production')
    assert.equal(code, 0)
    for (const piece of ['YES  bob on hold_1', hold.action.digest, 'https://approvals.example.org (production)', 'Agreed with finance.', '\\u{202e}ticket', 'this file does not say']) assert.ok(out.includes(piece), piece)
    const data = JSON.parse((await verify(shown(voteWith(reason)), '-o', 'json')).out) as readonly { readonly verified: boolean; readonly signed: SpokenYes }[]
    assert.deepEqual([data.length, data[0]?.verified, data[0]?.signed.hold], [1, true, hold.id])
  })

  test('reads records, and by them knows whose passkey it was', async () => {
    const added = change('2026-11-20T10:00:00.000Z', 'passkey-added')
    const { code, out } = await verify([added, 'noise', '{"type":"other"}', voted(voteWith('ok'))].join('\n'))
    assert.equal(code, 0)
    assert.match(out, /which they added as "laptop", 2026-11-20 10:00:00 UTC/)
    const no = async (lines: readonly string[], why: RegExp) => {
      const answer = await verify([...lines, voted(voteWith('ok'))].join('\n'))
      assert.deepEqual([answer.code, why.test(answer.out)], [1, true], `${String(why)}: ${answer.out}`)
    }
    await no([change('2026-11-21T19:00:00.000Z', 'passkey-added')], /added later/)
    await no([added, change('2026-11-21T17:59:00.000Z', 'passkey-removed')], /removed before/)
    await no([change('2026-11-20T10:00:00.000Z', 'passkey-added', { subject: 'mallory' })], /somebody else had added/)
    await no([change('2026-11-20T10:00:00.000Z', 'passkey-added', { publicKey: text(softPasskey().publicKey) })], /another key/)
    assert.equal((await verify([added, voted(voteWith('ok')), change('2026-11-22T10:00:00.000Z', 'passkey-removed')].join('\n'))).code, 0)
  })

  test('takes a record’s word for a reason only where it was masked or cut', async () => {
    const masked = await verify(voted(voteWith(`password=hunter2 ${'x '.repeat(600)}`)))
    assert.equal(masked.code, 0)
    assert.match(masked.out, /does not keep its words whole/)
    assert.equal((await verify(voted(voteWith('fine', { reason: 'not fine' })))).code, 1)
    assert.equal((await verify(shown(voteWith('fine', { reason: 'not *** fine' })))).code, 1)
  })

  test('says no to anything else, and why', async () => {
    const good = voteWith('fine')
    const no = async (vote: Vote, why: RegExp, ...more: readonly string[]) => {
      const { code, out } = await verify(shown(vote), ...more)
      assert.equal(code, 1)
      assert.match(out, /^NO /)
      assert.match(out, why)
    }
    await no({ ...good, by: { ...good.by, subject: 'alice' } }, /another voter/)
    await no({ ...good, digest: `sha256:${'b2'.repeat(32)}` }, /another action/)
    await no({ ...good, verdict: 'deny' }, /another verdict/)
    await no({ ...good, shown: 'console/1 sha256:y' }, /another shown/)
    await no({ ...good, grant: { times: 5, withinMs: 1 } }, /another grant/)
    await no({ ...good, evidence: { ...good.evidence!, statement: statementOf({ ...yesWith('fine'), deployment: 'staging' }) } }, /another challenge/)
    await no({ ...good, evidence: { ...good.evidence!, publicKey: text(softPasskey().publicKey) } }, /not of this passkey/)
    await no({ ...good, evidence: { ...good.evidence!, signature: 'AAAA' } }, /not of this passkey/)
    const { evidence: _evidence, ...bare } = good
    await no(bare, /what was signed is not here/)
    await no(good, /another console/, '--console', 'https://other.example.org')
    await no(good, /another deployment/, '--deployment', 'staging')
    const both = await verify(shown(good, { ...good, reason: 'changed' }))
    assert.deepEqual([both.code, both.out.match(/^(?:YES|NO )/gm)], [1, ['YES', 'NO ']])
  })

  test('a file without any is no proof of anything', async () => {
    const { evidence: _evidence, ...plain } = voteWith('fine', { assurance: 'console' })
    const { code, err } = await verify(shown(plain))
    assert.equal(code, 1)
    assert.match(err, /1 yes was given without a passkey[^]*no vote here that a passkey signed/)
    for (const content of ['', 'x', '{', '[]', '[1]', '{"id":1}']) assert.equal((await verify(content)).code, 1, content)
    await using shell = await makeShell()
    assert.equal((await shell.run(['approvals', 'verify', 'nowhere'])).code, 1)
    assert.equal((await shell.run(['approvals', 'verify'])).code, 2)
  })
})
