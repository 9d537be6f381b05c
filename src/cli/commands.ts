import { type Command, commandNamed } from './command.ts'

/** What `countersign` can do, found without loading all of it: who approves something need not wait for the code that checks a log. */
export interface Commands {
  /** The command that these words begin with. */
  named(words: readonly string[]): Promise<Command | undefined>
  /** In the order of the help. */
  all(): Promise<readonly Command[]>
}

interface Family {
  readonly names: readonly string[]
  readonly load: () => Promise<readonly Command[]>
}

const policies = async (): Promise<readonly Command[]> => {
  const [{ policyCommands }, { caseAction }, { sqlCaseAction }, { protocolEnforces }, { readWorld }] = await Promise.all([import('./policy.ts'), import('./case-action.ts'), import('./sql-case-action.ts'), import('../config/policies.ts'), import('./config.ts')])
  return policyCommands({ makeAction: caseAction, makeSql: sqlCaseAction, enforceable: protocolEnforces, readWorld })
}

const families: readonly Family[] = [
  { names: ['serve'], load: async () => [(await import('./serve.ts')).serveCommand] },
  { names: ['holds ls', 'holds show', 'holds watch'], load: async () => (await import('./holds.ts')).holdCommands },
  { names: ['holds approve', 'holds deny', 'holds break-glass', 'holds review', 'holds hand-over', 'holds withdraw'], load: async () => (await import('./hold-decision.ts')).decisionCommands },
  { names: ['grants list', 'grants show', 'grants revoke'], load: async () => (await import('./grants.ts')).grantCommands },
  { names: ['login', 'logout', 'whoami'], load: async () => (await import('./login.ts')).loginCommands },
  { names: ['config check', 'config render', 'config schema'], load: async () => (await import('./config.ts')).configCommands },
  { names: ['channels'], load: async () => (await import('./channels.ts')).channelCommands },
  { names: ['sinks'], load: async () => (await import('./sinks.ts')).sinkCommands },
  { names: ['slack manifest'], load: async () => (await import('./slack.ts')).slackCommands },
  { names: ['teams manifest'], load: async () => (await import('./teams.ts')).teamsCommands },
  { names: ['policy check', 'policy test', 'policy explain'], load: policies },
  { names: ['identity test-token', 'identity whoami'], load: async () => (await import('./identity.ts')).identityCommands },
  { names: ['audit tail', 'audit show'], load: async () => (await import('./audit.ts')).auditCommands },
  { names: ['audit search', 'audit index'], load: async () => (await import('./audit-search.ts')).auditSearchCommands },
  { names: ['audit lineage'], load: async () => [(await import('./audit-lineage.ts')).auditLineageCommand] },
  { names: ['audit export'], load: async () => [(await import('./audit-export.ts')).auditExportCommand] },
  { names: ['audit explain'], load: async () => [(await import('./audit-explain.ts')).auditExplainCommand] },
  { names: ['audit erase'], load: async () => [(await import('./audit-erase.ts')).auditEraseCommand] },
  { names: ['audit verify', 'audit prove', 'audit checkpoint', 'audit key'], load: async () => (await import('./audit-evidence.ts')).auditEvidenceCommands },
  { names: ['audit tiles'], load: async () => [(await import('./audit-tiles.ts')).auditTilesCommand] },
  { names: ['receipt show', 'receipt verify'], load: async () => (await import('./receipt.ts')).receiptCommands },
  { names: ['evidence'], load: async () => [(await import('./evidence/evidence.ts')).evidenceCommand] },
  { names: ['witness key', 'witness serve'], load: async () => (await import('./witness.ts')).witnessCommands },
  { names: ['approvals verify'], load: async () => (await import('./approvals.ts')).approvalCommands },
  { names: ['healthcheck'], load: async () => [(await import('./healthcheck.ts')).healthcheckCommand] },
  { names: ['version'], load: async () => [(await import('./version.ts')).versionCommand] },
  { names: ['completion'], load: async () => [(await import('./completion.ts')).makeCompletionCommand(commands.all)] },
]

export const commands: Commands = {
  async named(words) {
    const family = families.find(({ names }) => names.some((name) => name.split(' ').every((word, at) => words[at] === word)))
    return family && commandNamed(await family.load(), words)
  },
  all: async () => (await Promise.all(families.map(({ load }) => load()))).flat(),
}
