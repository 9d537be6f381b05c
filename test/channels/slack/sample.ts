import type { SlackOptions } from '../../../src/channels/slack/options.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { action, agent, alice, requirement, terms } from '../../approval/world.ts'

export const consoleUrl = 'https://approvals.example.org'

/** A hold that may be decided in a chat. */
export const sampleHold = (over: Partial<Hold> = {}): Hold => ({
  id: 'hold_aaaaaaaaaaaaaaaaaaaaaaaaaa', code: 'CS-7F3K', revision: 1, state: 'pending', caller: { ...agent, name: 'Invoice agent', onBehalfOf: [{ ...alice, name: 'Alice' }] },
  action: action('DELETE FROM customers', {
    protocol: 'postgres', service: 'crm-db', place: { database: 'crm', role: 'app' }, verb: 'sql.delete', verbs: ['sql.delete'], tags: ['pii'], impact: { unfiltered: true, estimatedRows: 48_120, notes: [] },
    resources: [{ kind: 'table', name: 'public.customers', access: 'write', tags: ['pii'] }, { kind: 'column', name: 'public.customers.email', access: 'read', tags: ['pii'] }],
  }),
  terms: terms([requirement({ assurance: 'chat', count: 2 })]), matched: [{ policy: 'customer-data', rule: 'bulk-change', then: 'hold', at: 'p.yaml:1', observed: false, because: 'Bulk changes to personal data need two DBAs.' }],
  policyVersion: 'sha256:0123456789abcdef', votes: [], openedAt: 1_700_000_000_000, deadline: 1_700_000_060_000, statedReason: 'Clean-up of test data', ...over,
})

export const slackOptions = (url: string, over: Partial<SlackOptions> = {}): SlackOptions => ({
  kind: 'slack', name: 'approvals', url, interest: {}, timeoutMs: 3_000, privateAddresses: true, token: new Secret('xoxb-b0t'), conversation: 'C0APPROVALS', payload: 'full',
  interactivity: { by: 'http', signingSecrets: [new Secret('s1gning')] }, workspaces: ['T0HOME'], sharedChannel: false, linkMaxAgeMs: 30 * 86_400_000, groupsMaxAgeMs: 86_400_000, ...over,
})
