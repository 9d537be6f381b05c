import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Barriers that axe finds, each with where. The policy of the page lets nobody add scripts, so it is run from outside of the page's world. The session stays: with its end the page would lose its virtual devices. */
export const barriersIn = async (page: Page): Promise<readonly string[]> => {
  const session = await page.context().newCDPSession(page)
  const { executionContextId: contextId } = (await session.send('Page.createIsolatedWorld', { frameId: ((await session.send('Page.getFrameTree')) as { frameTree: { frame: { id: string } } }).frameTree.frame.id, worldName: 'axe' })) as { executionContextId: number }
  const run = async (expression: string) => {
    const { result, exceptionDetails } = (await session.send('Runtime.evaluate', { expression, contextId, awaitPromise: true, returnByValue: true })) as { result: { value?: unknown }; exceptionDetails?: { text: string; exception?: { description?: string } } }
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }
  await run(axe)
  return (await run(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => id + ' ' + target)))`)) as string[]
}
