import { makeApprovals as makeRealApprovals } from '../../src/approval/hold-life.ts'
import type { HoldStore } from '../../src/approval/hold-store.ts'
import { openJournal as openRealJournal } from '../../src/audit/file-journal.ts'
import { makeStaticVault as makeRealVault } from '../../src/credentials/static-vault.ts'
import { makeUpstream as makeRealUpstream } from '../../src/protocols/http/upstream.ts'
import { openEmbeddedStore as openRealEmbedded } from '../../src/stores/embedded/embedded-store.ts'
import { openRedisStore as openRealRedis } from '../../src/stores/redis/redis-store.ts'
import { around, stopAt } from './stop.ts'

/* What main.ts, replica/stores.ts and routes.ts import, with stop points. Each stands in for the module that it wraps; what is not wrapped passes as it is. */
export * from '../../src/protocols/http/upstream.ts'
export * from '../../src/audit/file-journal.ts'
export * from '../../src/approval/hold-life.ts'
export * from '../../src/stores/redis/redis-store.ts'

/**
 * A replica that has been there for a while: what is spent within a minute of a journal's beginning counts as begun, because clocks differ,
 * so the journals here begin two minutes before.
 */
const youngMs = 120_000

export const openJournal: typeof openRealJournal = async (options, parts) => {
  let before = youngMs
  const journal = await openRealJournal(options, { ...parts, now: () => parts.now() - before })
  const append: typeof journal.append = (event, durability) => {
    const appended = around(`journal ${event.type}`, () => journal.append(event, durability))
    before = 0
    return appended
  }
  return { ...journal, append, [Symbol.asyncDispose]: () => journal[Symbol.asyncDispose]() }
}

export const makeApprovals: typeof makeRealApprovals = (...args) => {
  const life = makeRealApprovals(...args)
  return {
    ...life,
    obtain: (...asked) => around('obtain', () => life.obtain(...asked)),
    spend: (...asked) => around('spend', () => life.spend(...asked)),
    finish: (...asked) => around('finish', () => life.finish(...asked)),
    vote: (...asked) => around('vote', () => life.vote(...asked)),
    [Symbol.asyncDispose]: () => life[Symbol.asyncDispose](),
  }
}

const stopping = (store: HoldStore): HoldStore => ({
  ...store,
  open: (...asked) => around('store open', () => store.open(...asked)),
  replace: (entry, ...asked) => around(`store ${entry.state}`, () => store.replace(entry, ...asked)),
  [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
})

export const openEmbeddedStore: typeof openRealEmbedded = (...args) => stopping(openRealEmbedded(...args))
export const openRedisStore: typeof openRealRedis = async (...args) => stopping(await openRealRedis(...args))

export const makeStaticVault: typeof makeRealVault = (...args) => {
  const vault = makeRealVault(...args)
  return { lend: (permit) => around('lend', async () => vault.lend(permit)) }
}

export const makeUpstream: typeof makeRealUpstream = (...args) => {
  const upstream = makeRealUpstream(...args)
  return {
    ...upstream,
    send(request, sink) {
      stopAt('before dispatch')
      const giveUp = upstream.send(request, {
        ...sink,
        head(...head) {
          stopAt('before first byte')
          const more = sink.head(...head)
          stopAt('after first byte')
          return more
        },
        end() {
          stopAt('before last byte')
          sink.end()
          stopAt('after last byte')
        },
      })
      stopAt('after dispatch')
      return giveUp
    },
    [Symbol.dispose]: () => upstream[Symbol.dispose](),
  }
}
