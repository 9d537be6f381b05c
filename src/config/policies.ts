import { hash } from 'node:crypto'
import type { Protocol } from '../model/service.ts'
import { type LoadedPolicies, loadPolicies, type PolicyWorld } from '../policy/load.ts'
import type { Config, PolicyFacts } from './config.ts'

/** What a protocol keeps of the obligations that a rule can ask for. A promise that nobody keeps does not load. */
const enforceable: Record<Protocol, { readonly masks: boolean; readonly rowLimit: boolean; readonly timeLimit: boolean }> = {
  http: { masks: false, rowLimit: false, timeLimit: false },
  mcp: { masks: false, rowLimit: false, timeLimit: false },
  postgres: { masks: true, rowLimit: true, timeLimit: true },
  mysql: { masks: false, rowLimit: false, timeLimit: false },
}

export const protocolEnforces: PolicyWorld['enforceable'] = ({ protocol }) => enforceable[protocol]

/** The policies of a configuration, compiled against what it says about services, issuers, groups and channels. */
export const compilePolicies = (config: Pick<Config, 'policyFiles' | 'policyFacts'>): LoadedPolicies => loadPolicies(config.policyFiles, policyWorld(config.policyFacts))

/** What the policy room asks of the rest of the configuration. */
export const policyWorld = (facts: PolicyFacts): PolicyWorld => ({ ...facts, enforceable: protocolEnforces, hash: (text) => `sha256:${hash('sha256', text)}` })
