import type { Hold } from '../../../src/model/hold.ts'
import { action, agent, terms, requirement } from '../../approval/world.ts'

/** A hold whose every time is known, so that its card is always the same. */
export const held = (over: Partial<Hold> = {}): Hold => ({
  id: 'hold_aaaaaaaaaaaaaaaaaaaaaaaaaa', code: 'CS-7F3K', revision: 1, state: 'pending', caller: agent, action: action(), terms: terms([requirement({ assurance: 'chat' })]),
  matched: [{ policy: 'orders', rule: 'refunds', then: 'hold', at: 'orders.yaml:4', because: 'Money moves.', observed: false }], policyVersion: 'sha256:0123456789abcdef', votes: [], openedAt: 1_700_000_000_000, deadline: 1_700_000_060_000, ...over,
})
