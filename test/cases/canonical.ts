import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { canonicalJson } from '../../src/lib/canonical-json.ts'
import { JsonProblem, parseStrictJson } from '../../src/lib/strict-json.ts'
import { list, type Run } from './loader.ts'
import { fail, pending } from './outcome.ts'

/* Two texts, and whether they are the same data. Each is read strictly and written canonically, by us and by a program in Python that shares nothing with us. */

const run = promisify(execFile)

const canonical = (text: string): string | null => {
  try {
    return canonicalJson(parseStrictJson(Buffer.from(text)))
  } catch (error) {
    if (error instanceof JsonProblem) return null
    throw error
  }
}

const inPython = async (texts: readonly string[]): Promise<readonly (string | null)[]> => {
  const running = run('python3', [join(import.meta.dirname, 'canonical.py')], { timeout: 60_000, maxBuffer: 1 << 26 })
  running.child.stdin?.on('error', () => {}).end(JSON.stringify(texts)) // what it did not read, it did not answer
  try {
    return JSON.parse((await running).stdout) as (string | null)[]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return pending('there is no Python here for the second implementation')
    throw error
  }
}

const agree = async (texts: readonly string[]): Promise<void> => {
  for (const [at, theirs] of (await inPython(texts)).entries()) {
    const text = texts[at] ?? ''
    const ours = canonical(text)
    if (ours !== theirs) fail(`${text.slice(0, 200)} is ${ours?.slice(0, 200) ?? 'refused'} here, and ${theirs?.slice(0, 200) ?? 'refused'} in Python`)
  }
}

const values = fc.jsonValue({ stringUnit: 'grapheme', maxDepth: 4 })
const drawn = (): readonly string[] => [
  ...fc.sample(values, 300).map((value) => JSON.stringify(value)),
  ...fc.sample(fc.double({ noNaN: true, noDefaultInfinity: true }), 300).map((value) => `[${value}]`),
  ...fc.sample(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), 300).map((value) => `{"n":${value}}`),
  '{"a":1,"a":2}', '{"a":{"b":[],"b":[]}}', '["\\ud800"]', '{"n":1e400}', '{"\\ud83d\\ude00":1,"\\ufb33":2,"\\u20ac":3}', '["\\u007f\\u0080\\u2028\\u000b"]', '[1E21,1e-7,-0,-0.0,123456789012345680000]',
]

const sentences: Readonly<Record<string, (texts: readonly string[]) => void | Promise<void>>> = {
  'the same result from a second implementation in another language': (texts) => agree([...texts, ...drawn()]),
  'no Unicode normalisation: different code points are different data': (texts) => void (texts.every((text) => JSON.stringify(JSON.parse(canonical(text) ?? 'null')) === JSON.stringify(JSON.parse(text))) || fail('a text was changed')),
  'large integers are strings in the schema; a plain number of this size is refused': (texts) => {
    for (const text of texts) if (canonical(text) !== null) fail(`${text} is read as ${canonical(text)}`)
    if (canonical('{"n":"9007199254740993"}') !== '{"n":"9007199254740993"}') fail('the same number in a string is refused')
  },
}

export const checkCanonical = async ({ item, expect }: Run): Promise<void> => {
  const texts = list(item['canonical']).map(String)
  const [one, other] = texts.map(canonical)
  const equal = one !== null && one === other
  if (equal !== expect['equal']) fail(`${texts.join(' and ')} are ${equal ? '' : 'not '}the same: ${one} and ${other}`)
  for (const sentence of list(expect['that'])) await (sentences[String(sentence)] ?? pending(`no check yet for: ${String(sentence)}`))(texts)
}
