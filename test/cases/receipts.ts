import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sealEnvelope } from '../../src/audit/receipts/envelope.ts'
import { noteSigner } from '../../src/audit/signed-note.ts'
import { makeShell } from '../cli/shell.ts'
import { leavesOf, withLeaf, type Envelope } from '../audit/receipt-world.ts'
import { settleOrHeld, finalReply } from './exchange.ts'
import { list } from './loader.ts'
import { api, ask, jsonOf, openHold, statusText, vote, type Observation } from './observation.ts'
import { fail, pending } from './outcome.ts'

/* An approved and executed action, its receipt as its requester gets it, and what somebody makes of that on the way to whoever checks it. */

const receiptOf = async (seen: Observation, target: string): Promise<Envelope> => {
  const exchange = openHold(seen.sender, 'req-a', target, target, '{}', 'wait')
  await settleOrHeld(seen.sender, exchange, 3_000)
  const hold = exchange.hold ?? fail('the action was not held')
  const voted = await vote(seen.world, 'appr-b', hold, 'approve')
  if (statusText(voted) !== '200') fail(`the vote was answered ${statusText(voted)}`)
  delete exchange.reply
  const reply = await finalReply(exchange, 5_000)
  if (statusText(reply) !== '200') fail(`the approved action was answered ${statusText(reply)}`)
  const receipt = await api(seen.world, 'req-a', 'GET', `/api/receipts/${hold}`)
  if (statusText(receipt) !== '200') fail(`its receipt was answered ${statusText(receipt)}: ${JSON.stringify(jsonOf(receipt))}`)
  return jsonOf(receipt) as unknown as Envelope
}

const said: Readonly<Record<string, (payload: Record<string, unknown>) => boolean>> = {
  'it contains digest, approvers as (iss, sub), method, policy hash, request, vote and execution times': (payload) => {
    const { predicate, subject } = payload as { readonly subject: readonly { readonly digest: { readonly sha256: string } }[]; readonly predicate: Record<string, Record<string, unknown>> & { readonly approvers: readonly Record<string, unknown>[] } }
    const [approver] = predicate.approvers
    return subject[0]?.digest.sha256.length === 64 && typeof approver?.['issuer'] === 'string' && typeof approver['subject'] === 'string' && approver['channel'] === 'api' && typeof approver['at'] === 'string'
      && String(predicate['decision']?.['policyVersion']).length > 10 && ['requested', 'released', 'started', 'ended'].every((name) => typeof predicate['times']?.[name] === 'string') && predicate['effect']?.['observed'] === 'executed'
  },
}

export const runReceipt = async (seen: Observation): Promise<void> => {
  const { run, world } = seen
  const receipt = await receiptOf(seen, '/admin/users')
  const keys = await ask(world, 'console', 'GET /.well-known/countersign-receipts.jwks HTTP/1.1\r\nHost: console.test\r\nConnection: close\r\n\r\n')
  if (typeof keys !== 'object' || keys.status !== 200) return fail(`the published keys were answered ${statusText(keys)}`)
  await using shell = await makeShell()
  const [file, keyFile] = [join(shell.home, 'receipt.json'), join(shell.home, 'keys.json')]
  writeFileSync(keyFile, keys.body)
  const verify = async (envelope: unknown): Promise<{ readonly code: number; readonly out: string }> => {
    writeFileSync(file, JSON.stringify(envelope))
    return await shell.run(['receipt', 'verify', file, '--key', keyFile])
  }
  const mustFail = async (what: string, envelope: unknown, ...exits: readonly number[]): Promise<void> => {
    const { code, out } = await verify(envelope)
    if (!exits.includes(code)) fail(`${what}: exit ${code}, ${out.slice(0, 200)}`)
  }
  const whole = await verify(receipt)
  if (whole.code !== 0) fail(`the receipt itself: exit ${whole.code}, ${whole.out.slice(0, 300)}`)
  const sentence = String(run.item['do'])
  if (sentence === 'verify the record with the published key and no network') {
    const payload = JSON.parse(Buffer.from(receipt.payload, 'base64').toString()) as Record<string, unknown>
    for (const one of list(run.expect['that'])) if (said[String(one)]?.(payload) !== true) fail(`not so: ${String(one)}`)
  } else if (sentence === 'change one character of each field in turn and verify') {
    for (const path of leavesOf(receipt)) await mustFail(path.join('.'), withLeaf(receipt, path), 15, 18, 20)
    const payload = JSON.parse(Buffer.from(receipt.payload, 'base64').toString()) as unknown
    for (const path of leavesOf(payload)) await mustFail(path.join('.'), { ...receipt, payload: Buffer.from(JSON.stringify(withLeaf(payload, path))).toString('base64') }, 18)
  } else if (sentence === 'swap the signatures of two records') {
    const other = await receiptOf(seen, '/admin/other')
    await mustFail('the signature of another receipt', { ...receipt, signatures: other.signatures }, 18)
    await mustFail('this signature under another receipt', { ...other, signatures: receipt.signatures }, 18)
  } else if (sentence === 'verify a record signed by a key that is not in the key list') {
    const stranger = noteSigner('cases#receipts', generateKeyPairSync('ed25519').privateKey)
    await mustFail('a key of nobody known', JSON.parse(sealEnvelope(Buffer.from(receipt.payload, 'base64').toString(), [stranger])), 20)
  } else pending(`no way yet to: ${sentence}`)
}
