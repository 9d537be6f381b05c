import { resolve } from 'node:path'
import { parseOptions, type Options } from '../../src/cli/command.ts'
import { exit, Failure } from '../../src/cli/io.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { endOnSignals } from '../support/temporary-folder.ts'
import { atOnce, isTimed, isWeighed, longestFirst, runCase, type Result } from './engine.ts'
import { loadCases, type Case } from './loader.ts'
import { endServer } from './postgres/fixture.ts'
import { properties, runProperty } from './properties.ts'

const options = {
  area: { type: 'string', multiple: true, help: 'cases of this area only: path, headers, postgres-sql, …' },
  id: { type: 'string', multiple: true, help: 'this case only, such as A03' },
  store: { type: 'string', choices: ['embedded', 'redis', 'both'], help: 'where cases about holds and the audit log run' },
  properties: { type: 'boolean', help: 'the properties, and nothing else unless it is named; CASES_SEED draws them again' },
  json: { type: 'boolean', help: 'a line of JSON for each' },
  help: { type: 'boolean', short: 'h', help: 'this text' },
} as const satisfies Options

const usage = `npm run cases -- [FOLDER] [options]

Runs the security cases of a folder (test/cases) and says of each whether it holds, fails, waits for a part that is not there yet, or cannot apply.

${Object.entries(options).map(([name, option]) => `  --${name.padEnd(12)}${option.help}${'choices' in option ? ` (${option.choices.join(', ')})` : ''}`).join('\n')}
`

const given = (): ReturnType<typeof parseOptions<typeof options>> => {
  try {
    return parseOptions(process.argv.slice(2), options, { min: 0, max: 1 })
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    console.error(`${error.message}\n\n${usage}`)
    process.exit(exit.usage)
  }
}

const { values, positionals } = given()

const say = (theCase: Case, { result, reason }: Result, ms: number): void => {
  const { id, area, title, gate } = theCase
  if (values.json) console.log(JSON.stringify({ id, area, title, class: theCase.class, gate, result, ...(reason === undefined ? {} : { reason }), ms: Math.round(ms) }))
  else console.log(`${result} ${id} ${title}${reason === undefined ? '' : `: ${reason}`}`)
}

const alone = (theCase: Case): boolean => isWeighed(theCase) || isTimed(theCase)

const main = async (): Promise<void> => {
  let redis: Promise<TestRedis> | undefined
  const redisUrl = async (): Promise<string> => (await (redis ??= startRedis())).url
  const stores = values.store === 'redis' ? (['redis'] as const) : values.store === 'embedded' ? (['embedded'] as const) : (['embedded', 'redis'] as const)
  const onlyProperties = values.properties && !values.area && !values.id && positionals.length === 0
  const all = onlyProperties ? [] : loadCases(resolve(positionals[0] ?? import.meta.dirname)).filter(({ area, id }) => (values.area?.includes(area) ?? true) && (values.id?.includes(id) ?? true))
  if (all.length === 0 && !onlyProperties) {
    console.error('no case matches')
    process.exit(exit.usage)
  }
  const waiting = [...longestFirst(all.filter((theCase) => !alone(theCase)))]
  const done = new Map<string, { readonly result: Result; readonly ms: number }>()
  let next = 0
  const tell = (): void => {
    // In the order of the ids, whatever was ready first.
    for (let theCase = all[next]; theCase !== undefined && done.has(theCase.id); theCase = all[++next]) {
      const { result, ms } = done.get(theCase.id) ?? { result: { result: 'fail' as const }, ms: 0 }
      say(theCase, result, ms)
    }
  }
  const worker = async (queue: Case[]): Promise<void> => {
    for (let theCase = queue.shift(); theCase !== undefined; theCase = queue.shift()) {
      const begin = performance.now()
      const result = await runCase(theCase, { stores, redisUrl })
      done.set(theCase.id, { result, ms: performance.now() - begin })
      tell()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, () => worker(waiting)))
  await worker(all.filter(alone))
  const propertyResults = []
  if (values.properties || (!values.area && !values.id && positionals.length === 0)) {
    const seed = Number(process.env['CASES_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    const corpus = loadCases(import.meta.dirname)
    for (const property of properties) {
      const begin = performance.now()
      const result = await runProperty(property, corpus, seed)
      propertyResults.push(result)
      if (values.json) console.log(JSON.stringify({ id: property.id, area: 'properties', title: property.title, class: 'property', gate: true, ...result, ms: Math.round(performance.now() - begin) }))
      else console.log(`${result.result} ${property.id} ${property.title}: ${result.reason}`)
    }
  }
  await Promise.all([endServer(), redis?.then((started) => started[Symbol.asyncDispose]())])
  const results = [...[...done.values()].map(({ result }) => result), ...propertyResults]
  const count = (wanted: Result['result']): number => results.filter(({ result }) => result === wanted).length
  if (!values.json) console.log(`\n${count('pass')} passed, ${count('fail')} failed, ${count('pending')} pending, ${count('inapplicable')} inapplicable`)
  process.exitCode = count('fail') > 0 ? 1 : 0
}

if (values.help === true) {
  console.log(usage)
  process.exit()
}
endOnSignals()
await main()
process.exit()
