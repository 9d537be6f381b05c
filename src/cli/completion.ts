import { parseOptions, type Command } from './command.ts'
import { exit, Failure } from './io.ts'

interface Word {
  readonly noun: string
  readonly verbs: readonly string[]
}

const nounsOf = (commands: readonly Command[]): readonly Word[] =>
  [...Map.groupBy(commands, ({ path }) => path[0] ?? '')].map(([noun, group]) => ({ noun, verbs: group.flatMap(({ path }) => path.slice(1, 2)) }))

const optionsOf = ({ options }: Command): readonly string[] => [...Object.keys(options).map((name) => `--${name}`), '--help']

const bash = (commands: readonly Command[]): string => `# countersign completion for bash
_countersign() {
  local cur=\${COMP_WORDS[COMP_CWORD]} words=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${nounsOf(commands).map(({ noun }) => noun).join(' ')}'
  else
    case "\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
${commands.map((command) => `      '${command.path.join(' ')}'${command.path.length === 1 ? "' '*" : ''}) words='${optionsOf(command).join(' ')}' ;;`).join('\n')}
    esac
    if [ "$COMP_CWORD" -eq 2 ]; then
      case "\${COMP_WORDS[1]}" in
${nounsOf(commands).filter(({ verbs }) => verbs.length > 0).map(({ noun, verbs }) => `        ${noun}) words='${verbs.join(' ')}' ;;`).join('\n')}
      esac
    fi
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _countersign countersign
`

const zsh = (commands: readonly Command[]): string => `#compdef countersign
_countersign() {
  local -a candidates
  if (( CURRENT == 2 )); then
    candidates=(${nounsOf(commands).map(({ noun }) => noun).join(' ')})
  else
    case "\${words[2]} \${words[3]}" in
${commands.map((command) => `      '${command.path.join(' ')}'${command.path.length === 1 ? "' '*" : ''}) candidates=(${optionsOf(command).join(' ')}) ;;`).join('\n')}
    esac
    if (( CURRENT == 3 )); then
      case "\${words[2]}" in
${nounsOf(commands).filter(({ verbs }) => verbs.length > 0).map(({ noun, verbs }) => `        ${noun}) candidates=(${verbs.join(' ')}) ;;`).join('\n')}
      esac
    fi
  fi
  compadd -a candidates
  _files
}
compdef _countersign countersign
`

const quoted = (text: string): string => `'${text.replaceAll(/['\\]/g, '\\$&')}'`

const fish = (commands: readonly Command[]): string =>
  [
    '# countersign completion for fish',
    ...nounsOf(commands).map(({ noun, verbs }) => `complete -c countersign -n __fish_use_subcommand -a ${noun} -d ${quoted(verbs.length > 0 ? verbs.join(', ') : (commands.find(({ path }) => path[0] === noun)?.summary ?? ''))}`),
    ...commands.filter(({ path }) => path.length > 1).map(({ path, summary }) => `complete -c countersign -n '__fish_seen_subcommand_from ${path[0]}' -a ${path[1]} -d ${quoted(summary)}`),
    ...commands.flatMap(({ path, options }) =>
      Object.entries(options).map(([name, { help, short, type }]) => `complete -c countersign -n '${path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ')}' -l ${name}${short ? ` -s ${short}` : ''}${type === 'string' ? ' -r' : ''} -d ${quoted(help)}`),
    ),
    '',
  ].join('\n')

const shells: Readonly<Record<string, (commands: readonly Command[]) => string>> = { bash, zsh, fish }

/** Completion scripts are made from the command table, so they know what the help knows. */
export const makeCompletionCommand = (commands: () => Promise<readonly Command[]>): Command => ({
  path: ['completion'],
  summary: 'Print a completion script for your shell',
  usage: 'bash|zsh|fish',
  options: {},
  examples: ['countersign completion bash > ~/.local/share/bash-completion/completions/countersign', 'countersign completion fish > ~/.config/fish/completions/countersign.fish'],
  run: async (args, io) => {
    const { positionals } = parseOptions(args, {}, { min: 1, max: 1 })
    const script = Object.hasOwn(shells, positionals[0] ?? '') ? shells[positionals[0] ?? ''] : undefined
    if (script === undefined) throw new Failure('the shell is one of bash, zsh, fish', exit.usage)
    io.stdout.write(script(await commands()))
    return exit.ok
  },
})
