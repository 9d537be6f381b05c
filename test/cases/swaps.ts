import { setTimeout as pause } from 'node:timers/promises'
import { ask, statusText, type Observation } from './observation.ts'
import { isTree, list, type Tree } from './loader.ts'
import { fail, pending } from './outcome.ts'
import { bearerOf } from './principals.ts'
import { applyRules, duration } from './translate.ts'

/* Policies that take turns while requests keep coming in. */

/** `policy A: allow /public/**, deny /other/**` as rules. */
const rulesOf = (text: unknown): readonly Tree[] => {
  const [, rules] = /^policy \w+: (.+)$/.exec(String(text)) ?? pending(`no policy: ${String(text)}`)
  return (rules ?? '').split(', ').map((rule) => {
    const [effect, path] = rule.split(' ')
    return { effect, methods: ['GET'], path }
  })
}

/** The requests of `parallel`, spread over the time in which the policies of `reload` take turns. */
export const swapDuring = async (seen: Observation, parallel: Tree, reload: Tree): Promise<void> => {
  const { world } = seen
  const { swap, every, times, ...rest } = reload
  const { times: count, step } = parallel
  const http = isTree(step) && isTree(step['send']) && isTree(step['send']['http']) ? step['send']['http'] : pending('only HTTP requests go on during reloads')
  if (Object.keys(rest).length > 0) pending(`no way yet to reload with ${Object.keys(rest).join()}`)
  const everyMs = /^PT([\d.]+)S$/.exec(String(every))?.[1] ?? pending(`no pause ${duration(every)}`)
  const policies = list(swap).map(rulesOf)
  const note = async (): Promise<void> => {
    const compiled = await world.compiled()
    seen.policies.set(compiled.version, compiled)
  }
  await note()
  const app = world.profile.policies.find(({ policy }) => policy === 'app') ?? pending('no policy')
  const own = [...app.rules]
  let swaps = 0
  let swapped = false
  const turns = (async () => {
    for (; swaps < Number(times); swaps++) {
      const [result] = await world.reload((profile) => {
        app.rules.splice(0, app.rules.length, ...own)
        applyRules(profile, policies[swaps % policies.length])
      })
      if (result?.applied !== true) fail(`a reload was refused: ${result?.problems[0]}`)
      if (swaps < policies.length) await note()
      await pause(Number(everyMs) * 1_000)
    }
  })().finally(() => (swapped = true))
  const bearer = bearerOf(String(http['as']), world.directory, world.now())
  let sent = 0
  const client = async (): Promise<void> => {
    while (sent < Number(count)) {
      sent++
      const reply = await ask(world, 'http', `GET ${String(http['target'])} HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${bearer}\r\nConnection: close\r\n\r\n`)
      if (typeof reply !== 'object') fail(`a request was answered ${statusText(reply)}`)
      seen.crowd.push(reply)
      // As many requests a reload as there are to send, so that the last ones meet the last swaps.
      while (!swapped && sent * Number(times) > (swaps + 1) * Number(count)) await pause(5)
    }
  }
  await Promise.all([turns, ...Array.from({ length: 20 }, client)])
}
