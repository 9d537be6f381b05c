import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { readDocument } from '../../src/lib/document.ts'
import { formatProblem } from '../../src/lib/problem.ts'
import { work } from '../support/work.ts'

const schema = z.strictObject({
  name: z.string().optional(),
  mode: z.enum(['enforce', 'observe']).optional(),
  port: z.int().optional(),
  list: z.union([z.array(z.string()), z.strictObject({ not: z.array(z.string()) })]).optional(),
  services: z.record(z.string(), z.strictObject({ upstream: z.string(), labels: z.record(z.string(), z.string()).optional() })).optional(),
})

const problemsOf = (text: string): readonly string[] => {
  const read = readDocument(text, 'f.yaml', schema)
  return 'problems' in read ? read.problems.map((problem) => formatProblem(problem).split('\n', 1)[0] ?? '') : []
}
const only = (text: string, pattern: RegExp): void => {
  const problems = problemsOf(text)
  assert.equal(problems.length, 1, `${JSON.stringify(text)}: ${problems.join(' | ') || 'no problem'}`)
  assert.match(problems[0] ?? '', pattern)
}
const valueOf = (text: string): unknown => {
  const read = readDocument(text, 'f.yaml', schema)
  return 'document' in read ? read.document.value : read.problems.map(formatProblem)
}

test('words stay words', () => {
  for (const word of ['no', 'off', 'yes', 'on', 'y', '2026-01-01', '12:30:00', '1_000', '0b1']) assert.deepEqual(valueOf(`name: ${word}\n`), { name: word })
})

test('a number never becomes a text, nor a number that nobody wrote', () => {
  only('name: 0123\n', /f\.yaml:1:7 .*leading zero/)
  only('port: 0123\n', /leading zero/)
  only('name: 83\n', /name: a number stands where text is expected; put it in quotes/)
  only('name: 0o17\n', /a number stands where text/)
  only('port: 1e999\n', /a number is expected/)
  assert.deepEqual(valueOf('name: "0123"\n'), { name: '0123' })
})

test('a key that stands twice is an error at its second place', () => only('name: a\nmode: enforce\nname: b\n', /f\.yaml:3:1 .*twice/))

test('no aliases, merge keys, tags, directives, second documents, tabs, nothing at all', () => {
  assert.match(problemsOf('name: &a x\nmode: *a\n').join(), /anchors.*aliases/s)
  assert.match(problemsOf('services:\n  <<: { upstream: x }\n').join(), /merge keys/)
  only('name: !!js/function "f"\n', /tags/)
  only('name: !!str 12\n', /tags/)
  only('%YAML 1.1\n---\nname: no\n', /directives/)
  only('---\nname: a\n---\nname: b\n', /f\.yaml:3:1 .*second document/)
  only('services:\n\tname: x\n', /f\.yaml:2:1 .*tab/)
  for (const nothing of ['', '\n', '# only words\n', '---\n', 'null\n', '~\n']) only(nothing, /empty/)
  only('? [a]\n: b\n', /key must be text/)
  only('__proto__: { name: x }\n', /cannot be a key/)
  only('- a\n', /a list stands where a map/)
})

test('an unknown key names the one that was meant, at its own place', () => {
  only('services:\n  orders: { upstrem: x, upstream: y }\n', /f\.yaml:2:13 services\.orders\.upstrem: unknown key "upstrem" in services\.orders; did you mean "upstream"\?/)
  only('nmae: x\n', /did you mean "name"/)
  only('list: { nto: [a], not: [b] }\n', /did you mean "not"/)
  only('toString: x\n', /unknown key "toString"$/)
})

test('an unknown word names the known ones', () => only('mode: enforced\n', /f\.yaml:1:7 mode: "enforced" is not known here; one of enforce, observe; did you mean "enforce"\?/))

test('all problems are told at once, in the order of the file', () => {
  const problems = problemsOf('mode: x\nport: y\nservices:\n  a: {}\nfoo: 1\n')
  assert.deepEqual(problems.map((text) => text.slice(0, 10)), ['f.yaml:1:7', 'f.yaml:2:7', 'f.yaml:4:6', 'f.yaml:5:1'])
})

test('the caret stands below the place', () => {
  const read = readDocument('services:\n  a:\n    upstream: 12\n', 'f.yaml', schema)
  assert.ok('problems' in read)
  const [problem] = read.problems
  assert.ok(problem)
  assert.deepEqual(formatProblem(problem).split('\n'), ['f.yaml:3:15 services.a.upstream: a number stands where text is expected; put it in quotes if it is text, and give it its unit if it has one (30s, 64KiB)', '  |     upstream: 12', '  |               ^'])
})

test('nothing of a value shows that may be a secret', () => {
  for (const text of ['nmae: hunter2\n', 'name: a\nname: hunter2\n', 'name: "hunter2\n', 'name: [hunter2\n', 'name: hunter2: x\n', 'services: { a: { tokn: hunter2, upstream: 12 } }\n', 'services:\n  a: { tokn: hunter2,\n    upstream: 12, labels: { t: hunter2 } }\n', 'name: !hunter hunter2\n', 'port: https://u:hunter2@x/\n']) {
    const read = readDocument(text, 'f.yaml', schema)
    assert.ok('problems' in read, text)
    for (const problem of read.problems) assert.doesNotMatch(JSON.stringify(problem) + formatProblem(problem), /hunter2/, text)
  }
})

test('what could move a cursor does not reach the terminal', () => {
  const read = readDocument('"a\\e[2J\\u202Eb": x\n', 'f.yaml', schema)
  assert.ok('problems' in read)
  for (const problem of read.problems) assert.doesNotMatch(formatProblem(problem).replaceAll('\n', ''), /\p{C}/u)
})

test('a text that grows or nests ends quickly', () => {
  const laughs = ['a: &a [x,x,x,x,x,x,x,x,x]', ...[...'bcdefgh'].map((name, index) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[index]}`).join(',')}]`)].join('\n')
  const took = work(() => {
    for (const text of [laughs, '['.repeat(100_000), '{a: '.repeat(50_000), '- '.repeat(5_000), Array.from({ length: 2_000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n').slice(0, 1_000_000), 'a'.repeat(2_000_000)]) assert.ok(problemsOf(text).length > 0, text.slice(0, 40))
  })
  assert.ok(took < 3_000)
})

test('a place is found for every path, whatever is there', () => {
  const read = readDocument('services:\n  orders:\n    upstream: http://x\n', 'f.yaml', schema)
  assert.ok('document' in read)
  const { locate } = read.document
  assert.deepEqual(locate(['services', 'orders', 'upstream']), { line: 3, column: 15 })
  assert.deepEqual(locate(['services', 'orders', 'labels', 'x']), { line: 3, column: 5 })
  assert.deepEqual(locate(['nowhere', 0]), { line: 1, column: 1 })
})

test('any text gives a value or problems with places inside of it', () => {
  const piece = fc.constantFrom('name', 'mode', ': ', '\n', '  ', '- ', '[', ']', '{', '}', ',', '"', "'", '&a ', '*a', '|', '>', '#', '!', '%', '\t', '0', 'x', '---\n', '<<', '\u{1F600}', '\r', '\0', '? ')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('')
      const read = readDocument(text, 'f.yaml', schema)
      if ('document' in read) return
      assert.ok(read.problems.length > 0)
      for (const { line, column } of read.problems) assert.ok(line >= 1 && column >= 1 && line <= text.length + 2)
    }),
    { numRuns: 800 },
  )
})
