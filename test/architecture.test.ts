import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, test } from 'node:test'

/**
 * The shape of the program, from its real import statements. Imports go down; rooms on one floor do not see each other:
 * so a protocol cannot go past the gate to a vault, and an auditor can read one room without the others.
 */
const src = resolve(import.meta.dirname, '..', 'src')

interface Place {
  readonly floor: number
  /** Files of one room see each other. */
  readonly room: string
}

const floors: Readonly<Record<string, number>> = { model: 0, lib: 0, identity: 1, policy: 1, approval: 1, credentials: 1, masking: 1, audit: 1, protocols: 3, channels: 3, stores: 3, sinks: 3, witness: 3, cli: 4, config: 4, replica: 4 }

/** Folders whose subfolders are the rooms. */
const houses = new Set(['protocols', 'channels', 'stores'])

/** Ports that rooms of the same floor may name as types: who acts must be able to record it first, wherever the journal is kept. */
const sharedPorts = new Set(['audit/journal.ts'])

const placeOf = (file: string): Place | undefined => {
  const [top = '', second = ''] = file.split('/')
  if (file === 'gate.ts') return { floor: 2, room: 'gate.ts' }
  if (file === 'main.ts') return { floor: 4, room: 'top' }
  const floor = floors[top]
  if (floor === undefined || !file.includes('/')) return undefined
  if (floor === 4) return { floor, room: 'top' }
  // A file that stands in the house itself (options, a port shared by its rooms) belongs to the house.
  return { floor, room: houses.has(top) && !/\.[tj]s$/.test(second) ? `${top}/${second}` : top }
}

/** Code without comments, and with the insides of strings and templates kept: import paths are strings. */
const withoutComments = (text: string): string =>
  text.replace(/("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (whole, string: string | undefined) => string ?? whole.replace(/[^\n]/g, ' '))

const withoutStrings = (text: string): string => withoutComments(text).replace(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, "''")

/** For what is about code alone: text of another language (SQL) stands in templates. */
const withoutTemplates = (text: string): string => withoutComments(text).replace(/`(?:\\.|[^`\\])*`/g, (whole) => `\`${whole.slice(1, -1).replace(/[^\n]/g, ' ')}\``)

const importsOf = (text: string): readonly { readonly specifier: string; readonly line: number; readonly typeOnly: boolean }[] => {
  const code = withoutComments(text)
  return [...code.matchAll(/(?:^|\n)\s*(import|export)\b(\s+type\b)?(?:[^'"\n;=]|\n(?!\s*(?:import|export|const)\b))*?(?:\bfrom\s*)?['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)]
    .filter((match) => match[4] !== undefined || match[1] === 'import' || /\bfrom\s*['"]/.test(match[0]))
    .map((match) => ({ specifier: match[3] ?? match[4] ?? '', line: code.slice(0, match.index + match[0].length).split('\n').length, typeOnly: match[2] !== undefined }))
}

const files = globSync('**/*.{ts,js}', { cwd: src }).sort().map((file) => ({ file, text: readFileSync(join(src, file), 'utf8') }))
const all = ['src', 'test', 'bench', 'examples'].flatMap((top) => globSync(`${top}/**/*.ts`, { cwd: dirname(src) })).sort().map((file) => ({ file, text: readFileSync(join(dirname(src), file), 'utf8') }))

const report = (violations: readonly string[], why: string): void => assert.deepEqual(violations, [], `\n${violations.join('\n')}\n\nWhy: ${why}\n`)

/** Each place where the pattern stands in code. */
const found = (file: string, text: string, pattern: RegExp, what: string): readonly string[] => {
  const code = withoutStrings(text)
  return [...code.matchAll(pattern)].map((match) => `src/${file}:${code.slice(0, match.index).split('\n').length}: ${what}`)
}

describe('architecture', () => {
  test('every file has a place', () => {
    report(
      files.filter(({ file }) => placeOf(file) === undefined).map(({ file }) => `src/${file}`),
      'a file outside the rooms belongs to no floor, so nothing says what it may see. See docs and the table in this test.',
    )
  })

  test('imports go down, and rooms of one floor do not see each other', () => {
    const violations = files.flatMap(({ file, text }) => {
      const from = placeOf(file)
      return importsOf(text)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .flatMap(({ specifier, line, typeOnly }) => {
          const target = relative(src, resolve(src, dirname(file), specifier))
          const to = placeOf(target)
          if (from === undefined || to === undefined) return [`src/${file}:${line}: imports ${target}, which has no place`]
          if (to.floor > from.floor) return [`src/${file}:${line}: imports ${target} from above (floor ${from.floor} sees floor ${to.floor})`]
          if (typeOnly && to.floor === from.floor && sharedPorts.has(target)) return []
          // Both rooms of floor 0 are words and mechanisms for everybody; a room sees the house it stands in.
          if (to.floor === from.floor && to.room !== from.room && from.floor !== 0 && !from.room.startsWith(`${to.room}/`)) return [`src/${file}:${line}: ${from.room} imports ${target} of the room beside it`]
          return []
        })
    })
    report(violations, 'what two rooms share belongs below them (src/model, src/lib), or main.ts hands it in.')
  })

  test('imports carry .ts, and nothing else than packages, node: and files', () => {
    const violations = all.flatMap(({ file, text }) =>
      importsOf(text)
        .filter(({ specifier }) => specifier.startsWith('.') && !/\.(ts|js|json)$/.test(specifier))
        .map(({ specifier, line }) => `${file}:${line}: ${specifier}`),
    )
    report(violations, 'Node runs these files as they are and does not guess extensions.')
  })

  test('only the gate issues permits', () => {
    report(
      files.filter(({ file }) => file !== 'gate.ts').flatMap(({ file, text }) => found(file, text, /\bissuePermit\b/g, 'issuePermit')),
      'nothing reaches an upstream without a permit, and gate.ts is the one place to read how one comes about.',
    )
  })

  test('the verifier stands alone', () => {
    const reached = new Set<string>()
    const strangers: string[] = []
    const follow = (file: string): void => {
      if (reached.has(file)) return
      reached.add(file)
      const found = files.find((one) => one.file === file)
      assert.ok(found, `${file} is not there`)
      for (const { specifier, line, typeOnly } of importsOf(found.text)) {
        const target = relative(src, resolve(src, dirname(file), specifier))
        if (typeOnly || specifier === 'node:crypto') continue
        if (specifier.startsWith('.') && (placeOf(target)?.floor === 0 || placeOf(target)?.room === 'audit')) follow(target)
        else strangers.push(`src/${file}:${line}: ${specifier}`)
      }
    }
    follow('audit/verification.ts')
    report(strangers, 'an auditor runs it without trusting, or having, the rest: no disk, no network, no packages.')
  })

  describe('pure rooms', () => {
    const isPure = (file: string): boolean => /^(model|policy|masking|audit\/ocsf)\//.test(file) || /^protocols\/[^/]+\/codec\//.test(file)
    const pure = files.filter(({ file }) => isPure(file))

    test('import nothing of node', () => {
      const violations = pure.flatMap(({ file, text }) =>
        importsOf(text).filter(({ specifier }) => specifier.startsWith('node:') || ['undici', 'ioredis', 'pino'].includes(specifier)).map(({ specifier, line }) => `src/${file}:${line}: ${specifier}`),
      )
      report(violations, 'a pure room can be fuzzed, replayed and believed: the same input gives the same answer, whenever and wherever.')
    })

    test('read no clock, no chance and no environment', () => {
      const violations = pure.flatMap(({ file, text }) =>
        found(file, text, /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bMath\.random\b|\bprocess\.|\bset(?:Timeout|Interval|Immediate)\b|\bfetch\(|\bcrypto\.(?:randomUUID|getRandomValues)\b/g, 'a clock, a random source, the environment or I/O'),
      )
      report(violations, 'time and chance are arguments, so that a decision can be repeated and explained later.')
    })
  })

  describe('style', () => {
    test('no default exports', () => {
      const violations = files.flatMap(({ file, text }) => found(file, text, /\bexport\s+default\b|\bas\s+default\b/g, 'default export'))
      report(violations, 'a thing has one name everywhere; a default export gets another at every import.')
    })

    test('no barrels', () => {
      const violations = files.flatMap(({ file, text }) => found(file, text, /\bexport\s+\*/g, 'export *'))
      report([...violations, ...files.filter(({ file }) => /(^|\/)index\.[tj]s$/.test(file)).map(({ file }) => `src/${file}`)], 'an import should say where the thing lives.')
    })

    test('no any, and no silenced type errors', () => {
      const violations = files.filter(({ file }) => file.endsWith('.ts')).flatMap(({ file, text }) => [
        ...found(file, text, /(?<![\w.'"`])(?::\s*any\b(?!\s*[('"a-z])|\bas\s+any\b|<any[>,]|\bany\[\]|,\s*any>)/g, 'any'),
        ...[...text.matchAll(/@ts-(?:ignore|nocheck|expect-error)/g)].map((match) => `src/${file}:${text.slice(0, match.index).split('\n').length}: ${match[0]}`),
      ])
      report(violations, 'any switches the checks off exactly where bytes of strangers come in; unknown keeps them on.')
    })

    test('no enums, namespaces, decorators or parameter properties', () => {
      const violations = files.flatMap(({ file, text }) => found(file, text, /^\s*(?:export\s+)?(?:const\s+)?enum\s|^\s*(?:export\s+)?namespace\s|^\s*@[A-Za-z]+(?:\(|\s*$)|constructor\([^)]*\b(?:private|public|protected)\s/gm, 'syntax that does not erase'))
      report(violations, 'Node strips types and runs what is left.')
    })

    test('file names are kebab-case nouns for one idea', () => {
      const violations = files.flatMap(({ file }) => {
        const parts = file.replace(/(\.d)?\.[tj]s$/, '').split('/')
        const bad = parts.find((part) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(part) || /(^|-)(utils?|helpers?|common|misc|manager|impl|stuff)$/.test(part))
        return bad === undefined ? [] : [`src/${file}: ${bad}`]
      })
      report(violations, 'a name such as utils says nothing about what is inside, and then everything gets in.')
    })

    test('no semicolons at line ends', () => {
      const violations = files.flatMap(({ file, text }) => found(file, withoutTemplates(text), /;[ \t]*$/gm, 'semicolon'))
      report(violations, 'one style, so that a diff shows ideas.')
    })
  })

  test('this test sees what it looks for', () => {
    const code = [`import type { A } from './a.ts'`, `import { b,`, `  c } from '../b.ts'`, `// import { x } from './no.ts'`, `const s = "import { x } from './neither.ts'"`, `const d = await import('./d.ts')`, `export { e } from './e.ts'`, `import './f.ts'`].join('\n')
    assert.deepEqual(importsOf(code).map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? ' type' : ''}`), ['./a.ts type', '../b.ts', './d.ts', './e.ts', './f.ts'])
    assert.deepEqual([placeOf('protocols/http/codec/json.ts'), placeOf('channels/web/listener.ts'), placeOf('stores/options.ts'), placeOf('stray.ts')], [{ floor: 3, room: 'protocols/http' }, { floor: 3, room: 'channels/web' }, { floor: 3, room: 'stores' }, undefined])
    assert.equal(found('x.ts', `const text = 'Date.now' // Date.now\nDate.now()`, /\bDate\.now\b/g, 'clock').join(), 'src/x.ts:2: clock')
  })
})
