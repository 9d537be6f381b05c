import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/* What a builder reads, as far as ours uses it. Anything else is an error here: then the tests would check something that is not built. */

export interface Copy {
  readonly kind: 'copy'
  readonly from?: string
  readonly owner?: string
  readonly sources: readonly string[]
  readonly target: string
}
export interface Run {
  readonly kind: 'run'
  readonly commands: readonly (readonly string[])[]
}
export interface Workdir {
  readonly kind: 'workdir'
  readonly path: string
}
export interface Stage {
  readonly name: string
  readonly base: string
  readonly steps: readonly (Copy | Run | Workdir)[]
  readonly env: Readonly<Record<string, string>>
  readonly user?: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly healthcheck: readonly string[]
  readonly volumes: readonly string[]
}

const words = (text: string): string[] => text.trim().split(/\s+/)
const list = (text: string): readonly string[] => JSON.parse(text) as string[]

/** `name` of the last stage is empty. */
export const readDockerfile = (root: string): readonly Stage[] => {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8').replaceAll(/^#.*\n/gm, '').replaceAll('\\\n', ' ')
  const args = new Map<string, string>()
  const stages: { -readonly [Part in keyof Stage]: Stage[Part] extends readonly (infer Item)[] ? Item[] : Stage[Part] }[] = []
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const [, word = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
    const stage = stages.at(-1)
    if (word === 'ARG' && stage === undefined) args.set(...(rest.split('=', 2) as [string, string]))
    else if (word === 'FROM') {
      const [base = '', , name = ''] = words(rest.replaceAll(/\$\{(\w+)\}/g, (_, arg: string) => args.get(arg) ?? `no argument ${arg}`))
      const before = stages.find((other) => other.name === base)
      stages.push({ name, base: before?.base ?? base, steps: [...(before?.steps ?? [])], env: { ...before?.env }, entrypoint: [], command: [], healthcheck: [], volumes: [] })
    } else if (stage === undefined) throw new Error(`${line}: before the first stage`)
    else if (word === 'COPY') {
      const flags = new Map(words(rest).filter((each) => each.startsWith('--')).map((flag) => flag.slice(2).split('=', 2) as [string, string]))
      const paths = words(rest).filter((each) => !each.startsWith('--'))
      const [from, owner] = [flags.get('from'), flags.get('chown')]
      stage.steps.push({ kind: 'copy', sources: paths.slice(0, -1), target: paths.at(-1) ?? '', ...(from ? { from } : {}), ...(owner ? { owner } : {}) })
    } else if (word === 'RUN') stage.steps.push({ kind: 'run', commands: rest.split('&&').map(words) })
    else if (word === 'WORKDIR') stage.steps.push({ kind: 'workdir', path: rest })
    else if (word === 'ENV') stage.env = { ...stage.env, ...Object.fromEntries([rest.split('=', 2)]) }
    else if (word === 'USER') stage.user = rest
    else if (word === 'ENTRYPOINT') stage.entrypoint = [...list(rest)]
    else if (word === 'CMD') stage.command = [...list(rest)]
    else if (word === 'HEALTHCHECK') stage.healthcheck = [...list(rest.slice(rest.indexOf('CMD') + 3))]
    else if (word === 'VOLUME') stage.volumes = [...list(rest)]
    else if (word !== 'LABEL' && word !== 'EXPOSE') throw new Error(`${line}: not known to the tests`)
  }
  return stages
}

/** Whether a path of the context goes to the builder: the last line of .dockerignore that fits decides. */
export const makeContextFilter = (root: string): ((path: string) => boolean) => {
  const file = join(root, '.dockerignore')
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#')) : []
  const rules = lines.map((line) => {
    const pattern = line.replace(/^!/, '').replace(/\/$/, '')
    const inner = pattern.split('**').map((part) => part.replaceAll(/[.+^${}()|[\]\\?]/g, '\\$&').replaceAll('*', '[^/]*')).join('.*')
    return { keep: line.startsWith('!'), fits: new RegExp(`^${inner}(?:/|$)`) }
  })
  return (path) => rules.findLast(({ fits }) => fits.test(path))?.keep ?? true
}
