import { auditCommands } from './audit.ts'
import type { Command } from './command.ts'
import { makeCompletionCommand } from './completion.ts'
import { configCommands } from './config-commands.ts'
import { decisionCommands } from './hold-decision.ts'
import { healthcheckCommand } from './healthcheck.ts'
import { holdCommands } from './holds.ts'
import { loginCommands } from './login.ts'
import { serveCommand } from './serve.ts'
import { versionCommand } from './version.ts'

/** Everything that `countersign` can do. */
export const commands: readonly Command[] = [
  serveCommand,
  ...holdCommands,
  ...decisionCommands,
  ...loginCommands,
  ...configCommands,
  ...auditCommands,
  healthcheckCommand,
  versionCommand,
  makeCompletionCommand(() => commands),
]
