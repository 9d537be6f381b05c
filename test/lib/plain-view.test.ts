import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainView } from '../../src/lib/plain-view.ts'
import { visibleRaw } from '../../src/lib/visible.ts'

const cases: readonly (readonly [string, string, readonly string[]])[] = [
  ['DELETE FROM t WHERE id = 1', 'DELETE FROM t WHERE id = 1', []],
  ["INSERT INTO t VALUES ('Zürich', 'Łódź', 'Ελλάδα', 'Москва', '東京 100', 'naïve 🙂')", "INSERT INTO t VALUES ('Zürich', 'Łódź', 'Ελλάδα', 'Москва', '東京 100', 'naïve 🙂')", []],
  ['id = 1 \u202e-- 1\u202c', 'id = 1 \\u{202e}-- 1\\u{202c}', ['hidden']],
  ['us\u200bers', 'us\\u{200b}ers', ['hidden']],
  ['/admin/users\u00a0/x', '/admin/users\\u{a0}/x', ['hidden']],
  ['\u0443sers', '\\u{443}sers', ['lookalike']],
  ['p\u0430y\u0440al', 'p\\u{430}y\\u{440}al', ['lookalike']],
  ['ＤＲＯＰ table', '\\u{ff24}\\u{ff32}\\u{ff2f}\\u{ff30} table', ['lookalike']],
  ['𝐃𝐑𝐎𝐏', '\\u{1d403}\\u{1d411}\\u{1d40e}\\u{1d40f}', ['lookalike']],
  ['a\u0300\u0301\u0302\u0303', 'a\\u{300}\\u{301}\\u{302}\\u{303}', ['lookalike']],
  [`SELECT 1${' '.repeat(500_000)}; DROP TABLE t`, 'SELECT 1\\{500000 spaces}; DROP TABLE t', ['blanks']],
  [`a${'\n'.repeat(300)}b`, 'a\n\\{299 empty lines}\nb', ['blanks']],
  ['a\n\n\n\nb', 'a\n\n\n\nb', []],
  ['a\\u{202e}b \\{9 spaces}', 'a\\\\u{202e}b \\\\{9 spaces}', []],
  ['a\x1b[2Jb\x08\0', 'a\\u{1b}[2Jb\\u{8}\\u{0}', ['hidden']],
]

test('what hides, passes for another letter or pushes the rest away is spelled out; all else stays', () => {
  for (const [given, text, ruses] of cases) assert.deepEqual(plainView(visibleRaw(given)), { text, ruses }, JSON.stringify(given.slice(0, 60)))
})

test('no text can pass for such a spelling', () => {
  const spelledOut = (text: string): string => plainView(visibleRaw(text)).text
  for (const ruse of ['\u202e', '\u0443s', 'x'.padEnd(60) + 'y', '\u00a0']) assert.notEqual(spelledOut(spelledOut(ruse)), spelledOut(ruse))
})
