import type { Page } from 'playwright-core'
import { agent, decision, obtain, refused, requirement, terms, type Replica } from '../../test/approval/world.ts'
import { startChromium, visitorOf } from '../../test/browser/browsers.ts'
import { startConsole } from '../../test/browser/world.ts'
import { median, row, type Part, type PartOptions, type Row } from '../frame.ts'

const few = 50
const atOnce = 100

type Console = Awaited<ReturnType<typeof startConsole>>

export const consolePart: Part = {
  name: 'console',
  packages: [{ command: 'chromium', package: 'chromium', why: 'the benchmark looks at the console with a real browser' }],
  explanation: [
    'A console in Chromium, logged in, on one replica; what waits is asked for at another replica of the same store.',
    '"Seen" is the time from asking until the row stands in the list of the open page, without anybody doing anything.',
    'Pages are timed by the browser, from the click to the end of loading.',
  ].join('\n'),
  run: async (options) => {
    await using at = await startConsole({ openPerCaller: 20_000, openPerService: 20_000 })
    const other = await at.world.replica('b', { openPerCaller: 20_000, openPerService: 20_000 })
    const browser = await startChromium()
    try {
      const { page } = await visitorOf(browser, at.url, 'bob')
      const rows: Row[] = []
      let waiting = 0
      const many = options.quick ? 1_000 : 5_000
      for (const open of [few, many]) {
        options.log(`${open} open holds`)
        waiting = await fill(other, waiting, open, options.signal)
        rows.push(...(await looks({ at, page, other, open, options })))
      }
      return rows
    } finally {
      await browser.close()
    }
  },
}

const needs = terms([requirement()], { withinMs: 3_600_000 })

const hold = async (replica: Replica, text: string): Promise<string> => {
  const { detail } = await refused(obtain(replica, text, agent, { budgetMs: 0 }, decision(needs)))
  return detail.hold!.id
}

const fill = async (replica: Replica, from: number, to: number, signal: AbortSignal): Promise<number> => {
  for (let at = from; at < to; at += atOnce) {
    signal.throwIfAborted()
    await Promise.all(Array.from({ length: Math.min(atOnce, to - at) }, (_, index) => hold(replica, `POST /exports/${at + index}`)))
  }
  return to
}

interface Scene {
  readonly at: Console
  readonly page: Page
  readonly other: Replica
  readonly open: number
  readonly options: PartOptions
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return performance.now() - began
}

let asked = 0

const looks = async ({ at, page, other, open, options }: Scene): Promise<readonly Row[]> => {
  const rounds = options.quick ? 5 : 15
  const inbox = await repeated(rounds, () => timed(() => page.goto(`${at.url}/`)))
  await page.locator('#live[data-state=live]').waitFor()
  const seen = await repeated(rounds, async () => {
    const began = performance.now()
    const id = await hold(other, `POST /seen/${++asked}`)
    await page.locator(`#${id}`).waitFor()
    return performance.now() - began
  })
  const decided = await repeated(rounds, async () => {
    const id = await hold(other, `POST /decided/${++asked}`)
    await page.goto(`${at.url}/holds/${id}`)
    return await timed(async () => {
      await page.click('.deny')
      await page.locator('.decided').waitFor()
    })
  })
  const what = `${open} open holds`
  return [
    row('console', `longest from asking to seen, ${what}`, Math.max(...seen), 'ms', '', '<= 1000', `median ${Math.round(median(seen))} ms of ${rounds}`),
    row('console', `the inbox, ${what}`, median(inbox), 'ms', '', '<= 1000', `longest ${Math.round(Math.max(...inbox))} ms`),
    row('console', `a decision, ${what}`, median(decided), 'ms', '', '<= 1000', `from the press to the page that says so; longest ${Math.round(Math.max(...decided))} ms`),
  ]
}

const repeated = async (times: number, work: () => Promise<number>): Promise<readonly number[]> => {
  const results: number[] = []
  for (let round = 0; round < times; round++) results.push(await work())
  return results
}
