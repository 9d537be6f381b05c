import { generateKeyPairSync } from 'node:crypto'
import { openJournal, type RecoveredJournal } from '../../../src/audit/file-journal.ts'
import { noteSigner } from '../../../src/audit/signed-note.ts'
import { makeReceiptDesk } from '../../../src/channels/web/receipt-desk.ts'
import { makeAuditDesk } from '../../../src/channels/web/audit-desk.ts'
import type { AuditEvent } from '../../../src/model/audit-event.ts'
import type { Members } from '../../../src/model/caller.ts'
import { openAuditSearch } from '../../../src/stores/embedded/audit-index/audit-search.ts'
import { action, caller, finished, options, temporaryDirectory } from '../../audit/audit-samples.ts'

const subject = { hold: 'hold_1', code: 'CS-7F3K', digest: action.digest }
const vote = { verdict: 'approve', by: { issuer: 'https://idp.test', subject: 'bob', kind: 'human', groups: ['oncall'], name: 'Bob' }, channel: 'console', assurance: 'console', digest: action.digest, reason: 'ticket 4711', at: 1 } as const
const terms = { requirements: [{ policy: 'orders', rule: 'write', groups: ['oncall'], users: [], count: 1, assurance: 'console', sharesPeople: false }], withinMs: 1, runWithinMs: 1, askReason: false, run: 'attached' } as const
const decision = { verdict: 'hold', matched: [{ policy: 'orders', rule: 'write', then: 'hold', at: 'orders.yaml:3', observed: false, because: 'Somebody looks.' }], policyVersion: 'sha256:cd' } as const

/** An action from the asking to its end. */
export const story: readonly AuditEvent[] = [
  { type: 'decided', attempt: 'try-1', caller, action, decision },
  { type: 'held', attempt: 'try-1', caller, action, ...subject, deadline: 9, terms },
  { type: 'voted', ...subject, vote, state: 'approved' },
  { type: 'released', ...subject, attempt: 'try-1', votes: [vote], policyVersion: 'v', heldUnder: 'v' },
  { type: 'started', attempt: 'try-1', caller, action, decision, hold: 'hold_1' },
  { ...finished('try-1'), hold: 'hold_1' } as AuditEvent,
]

/** A log with one action in it, and a desk where it is read. */
export const auditLog = async (readers: readonly string[]) => {
  await using making = new AsyncDisposableStack()
  const place = making.use(temporaryDirectory())
  const signer = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)
  const parts = { now: Date.now, signer, checkpointMs: 1e6 }
  let journal: RecoveredJournal = await openJournal(options(place.path), parts)
  making.defer(() => journal[Symbol.asyncDispose]())
  for (const event of story) await journal.append(event, 'written')
  const search = making.use(openAuditSearch(place.path, () => {}))
  const read: AuditEvent[] = []
  const state = { readers, members: new Map() as Members }
  const record = async (event: AuditEvent): Promise<void> => {
    await journal.append(event, 'written')
    read.push(event)
  }
  const desk = makeAuditDesk({ search, readers: () => state.readers, members: () => state.members, keys: [signer], record })
  const receiptSigner = noteSigner('prod#receipts', generateKeyPairSync('ed25519').privateKey)
  const receipts = makeReceiptDesk({ search, readers: desk, record, deployment: 'prod', signers: [receiptSigner] })
  const own = making.move()
  return {
    desk,
    receipts,
    receiptSigner,
    state,
    directory: place.path,
    /** What is on record of reading. */
    read,
    events: (event: AuditEvent) => journal.append(event, 'written'),
    /** A log is signed when its replica ends, too. */
    sign: async () => {
      await journal[Symbol.asyncDispose]()
      journal = await openJournal(options(place.path), parts)
    },
    close: () => journal[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: () => own.disposeAsync(),
  }
}
