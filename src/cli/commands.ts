import { protocolEnforces } from '../config/policies.ts'
import { approvalCommands } from './approvals.ts'
import { auditCommands } from './audit.ts'
import { auditEraseCommand } from './audit-erase.ts'
import { auditEvidenceCommands } from './audit-evidence.ts'
import { auditExplainCommand } from './audit-explain.ts'
import { auditExportCommand } from './audit-export.ts'
import { auditLineageCommand } from './audit-lineage.ts'
import { auditSearchCommands } from './audit-search.ts'
import { auditTilesCommand } from './audit-tiles.ts'
import { caseAction } from './case-action.ts'
import { channelCommands } from './channels.ts'
import type { Command } from './command.ts'
import { makeCompletionCommand } from './completion.ts'
import { configCommands, readWorld } from './config.ts'
import { evidenceCommand } from './evidence/evidence.ts'
import { grantCommands } from './grants.ts'
import { decisionCommands } from './hold-decision.ts'
import { healthcheckCommand } from './healthcheck.ts'
import { holdCommands } from './holds.ts'
import { identityCommands } from './identity.ts'
import { loginCommands } from './login.ts'
import { policyCommands } from './policy.ts'
import { receiptCommands } from './receipt.ts'
import { serveCommand } from './serve.ts'
import { sinkCommands } from './sinks.ts'
import { slackCommands } from './slack.ts'
import { sqlCaseAction } from './sql-case-action.ts'
import { teamsCommands } from './teams.ts'
import { witnessCommands } from './witness.ts'
import { versionCommand } from './version.ts'

/** Everything that `countersign` can do. */
export const commands: readonly Command[] = [
  serveCommand,
  ...holdCommands,
  ...decisionCommands,
  ...grantCommands,
  ...loginCommands,
  ...configCommands,
  ...channelCommands,
  ...sinkCommands,
  ...slackCommands,
  ...teamsCommands,
  ...policyCommands({ makeAction: caseAction, makeSql: sqlCaseAction, enforceable: protocolEnforces, readWorld }),
  ...identityCommands,
  ...auditCommands,
  ...auditSearchCommands,
  auditLineageCommand,
  auditExportCommand,
  auditExplainCommand,
  auditEraseCommand,
  ...auditEvidenceCommands,
  auditTilesCommand,
  ...receiptCommands,
  evidenceCommand,
  ...witnessCommands,
  ...approvalCommands,
  healthcheckCommand,
  versionCommand,
  makeCompletionCommand(() => commands),
]
