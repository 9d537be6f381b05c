import { type Command, commandNamed } from '../../src/cli/command.ts'
import type { Commands } from '../../src/cli/commands.ts'

/** These commands and no others. */
export const listed = (commands: readonly Command[]): Commands => ({ named: async (words) => commandNamed(commands, words), all: async () => commands })
