import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { endOnSignals } from '../support/temporary-folder.ts'
import { atOnce, isTimed, isWeighed, longestFirst, runCase } from './engine.ts'
import { type Case, loadCases } from './loader.ts'
import { notYet } from './names.ts'
import { Pending } from './outcome.ts'
import { endServer } from './postgres/fixture.ts'
import { checkThat } from './that.ts'

/* The security cases as tests: those that can run must hold; those that cannot say why. `npm run cases` lists them all. */

let redis: Promise<TestRedis> | undefined
after(async () => {
  await Promise.all([endServer(), redis?.then((started) => started[Symbol.asyncDispose]())])
})

endOnSignals()
const cases = loadCases(import.meta.dirname)

test('every case is loaded, and the first release gate is complete', () => {
  assert.equal(new Set(cases.map(({ id }) => id)).size, cases.length)
  assert.equal(cases.filter(({ gate }) => gate).length, 101)
})

test('a sentence without a check does not pass', async () => {
  await assert.rejects(checkThat('something that nobody checks', {} as Parameters<typeof checkThat>[1]), Pending)
})

// Memory is measured by `npm run cases`, in a process of its own.
const inScope = longestFirst(cases.filter((theCase) => !(theCase.area in notYet) && !isWeighed(theCase)))

/** `npm run cases` tries approvals and the audit log on Redis as well; here the contracts of the stores have to do. */
const storesOf = ({ area }: Case): readonly ('embedded' | 'redis')[] => (area === 'stores' ? ['embedded', 'redis'] : ['embedded'])

const holds = (theCase: Case) => async (inner: TestContext): Promise<void> => {
  const { result, reason } = await runCase(theCase, { stores: storesOf(theCase), redisUrl: async () => (await (redis ??= startRedis())).url })
  if (result === 'pending') inner.todo(reason)
  else if (result === 'inapplicable') inner.skip(reason)
  else assert.equal(result, 'pass', reason)
}

for (const [title, concurrency, some] of [
  ['security cases', atOnce, inScope.filter((theCase) => !isTimed(theCase))],
  ['security cases with a bound of time, one by one', 1, inScope.filter(isTimed)],
] as const)
  test(title, { concurrency }, async (context) => {
    await Promise.all(some.map((theCase) => context.test(`${theCase.id} ${theCase.title}`, holds(theCase))))
  })
