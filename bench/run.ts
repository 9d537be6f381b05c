/** `npm run bench -- <part> [--quick] [--json] [--check]`: every part is a file in `parts/`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { offerPackages } from '../test/support/system-packages.ts'
import { machine, scratch, type Part, type Row } from './frame.ts'
import { auditPart } from './parts/audit.ts'
import { consolePart } from './parts/console.ts'
import { httpPart } from './parts/http.ts'
import { postgresPart } from './parts/postgres.ts'

const parts: readonly Part[] = [httpPart, postgresPart, consolePart, auditPart]
const page = join(import.meta.dirname, '..', 'docs', 'benchmarks.md')

const { values, positionals } = parseArgs({ allowPositionals: true, options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, check: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } } })
const chosen = positionals.length === 0 ? parts : parts.filter(({ name }) => positionals.includes(name))
if (values.help || chosen.length === 0) {
  process.stderr.write(`usage: npm run bench -- [${parts.map(({ name }) => name).join('|')}] [--quick] [--json] [--check]\n`)
  process.exit(values.help ? 0 : 2)
}

const log = (line: string) => process.stderr.write(`${line}\n`)
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)))

const print = (row: Row): void => {
  if (values.json) process.stdout.write(`${JSON.stringify(row)}\n`)
  else process.stdout.write(`${row.holds === undefined ? '    ' : row.holds ? 'ok  ' : 'MISS'} ${row.case}: ${row.ratio} ${row.unit}${row.against ? ` against ${row.against}` : ''}${row.target ? ` (target ${row.target})` : ''}${row.note ? `  [${row.note}]` : ''}\n`)
}

const table = (rows: readonly Row[]): string =>
  ['| case | figure | against | target | reached | behind it |', '|---|---|---|---|---|---|', ...rows.map((row) => `| ${row.case} | ${row.ratio} ${row.unit} | ${row.against} | ${row.target ?? ''} | ${row.holds === undefined ? '' : row.holds ? 'yes' : '**no**'} | ${row.note ?? ''} |`)].join('\n')

/** Each part owns the section between its two marks; the rest of the page stays. */
const writeSection = (part: Part, rows: readonly Row[]): void => {
  const before = existsSync(page) ? readFileSync(page, 'utf8') : '# Benchmarks\n\nWritten by `npm run bench`. Ratios of interleaved runs on one machine; absolute figures belong to that machine and hour.\n'
  const [from, to] = [`<!-- ${part.name}: begin -->`, `<!-- ${part.name}: end -->`]
  const section = `${from}\n## ${part.name}\n\n${part.explanation}\n\n${new Date().toISOString().slice(0, 10)}, ${machine()}.\n\n${table(rows)}\n${to}`
  const start = before.indexOf(from)
  const end = before.indexOf(to)
  writeFileSync(page, start < 0 ? `${before}\n${section}\n` : before.slice(0, start) + section + before.slice(end + to.length))
}

let missed = 0
for (const part of chosen) {
  if (!offerPackages(part.packages)) process.exit(1)
  using place = scratch()
  const started = performance.now()
  const rows = await part.run({ quick: values.quick, log, directory: place.directory, signal: stop.signal })
  for (const row of rows) print(row)
  missed += rows.filter((row) => row.holds === false).length
  log(`${part.name}: ${rows.length} figures in ${Math.round((performance.now() - started) / 1000)} s`)
  if (!values.quick) writeSection(part, rows)
}
process.exitCode = values.check && missed > 0 ? 1 : 0
