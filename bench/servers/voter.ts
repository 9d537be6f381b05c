/**
 * An approver with very quick hands: says yes to every pending hold of a replica's store, as another process of the same machine.
 * `node voter.ts <countersign.yaml>` reads what waits, says `ready` and how many, and votes when it reads a line.
 */
import { makeApprovals } from '../../src/approval/hold-life.ts'
import { makeRoster } from '../../src/approval/roster.ts'
import type { Journal } from '../../src/audit/journal.ts'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Caller } from '../../src/model/caller.ts'
import type { Hold } from '../../src/model/hold.ts'
import { openEmbeddedStore } from '../../src/stores/embedded/embedded-store.ts'

const [file] = process.argv.slice(2)
const loaded = await loadConfig(file!, process.env)
if (loaded.problems) throw new Error(loaded.problems[0]?.message)
const config = withApprovalKey(loaded.config)
if (config.store.kind !== 'embedded') throw new Error('the bench holds in the embedded store')

const journal: Journal = { append: async () => {}, check() {}, read: async () => ({ lines: [], cursor: undefined }), more: async () => {}, [Symbol.asyncDispose]: async () => {} }
await using store = openEmbeddedStore(config.store)
await using approvals = makeApprovals({ ...config.approval, replica: 'voter' }, { store, journal, roster: makeRoster(Date.now) })
const approver: Caller = { issuer: 'https://idp.example.org', subject: 'approver', kind: 'human', groups: ['approvers'], onBehalfOf: [], claims: {}, session: 'bench', authenticatedAt: Date.now(), expiresAt: Date.now() + 3_600_000, address: '127.0.0.1' }

const pending = async (): Promise<readonly Hold[]> => {
  const all: Hold[] = []
  for (let after: string | undefined; ; ) {
    const page = await approvals.list({ states: ['pending'], limit: 200, ...(after === undefined ? {} : { after }) }, approver)
    all.push(...page.holds)
    if (page.next === undefined) return all
    after = page.next
  }
}

const holds = await pending()
process.stdout.write(`ready ${holds.length}\n`)
await new Promise((resume) => process.stdin.once('data', resume))
for (let at = 0; at < holds.length; at += 500) {
  await Promise.all(holds.slice(at, at + 500).map((hold) => approvals.vote(hold.id, { verdict: 'approve', digest: hold.action.digest, by: approver, channel: 'api', assurance: 'console' })))
}
process.stdout.write('voted\n')
process.exit(0)
