import { createHash } from 'node:crypto'
import type { SessionStore } from '../../identity/session-store.ts'
import type { RedisStoreOptions } from './connection.ts'
import { makeRecords } from './records.ts'
import { script } from './script.ts'

/*
 * session:NAME   hash: sealed, ends (when at most), owners; expires by itself when nobody uses it
 * owner:NAME     its sessions by when they began
 * said:NAME      came once
 *
 * The keys of other sessions are made of ARGV[2], their prefix.
 */

/** KEYS: session, owners … · ARGV: skew, prefix, name, sealed, idle, at most, per owner */
const putScript = script(`
local idle, most = tonumber(ARGV[5]), tonumber(ARGV[6])
redis.call('HSET', KEYS[1], 'sealed', ARGV[4], 'ends', text(now + most), 'idle', text(now + math.min(idle, most)))
redis.call('PEXPIRE', KEYS[1], text(math.min(idle, most)))
for i = 2, #KEYS do
  redis.call('ZADD', KEYS[i], text(now), ARGV[3])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', text(now - 2 * most))
  redis.call('PEXPIRE', KEYS[i], text(most))
end
local crowd = redis.call('ZRANGE', KEYS[2], 0, -1 - tonumber(ARGV[7]))
for _, name in ipairs(crowd) do
  redis.call('DEL', ARGV[2] .. name)
  redis.call('ZREM', KEYS[2], name)
end`)

/** KEYS: session · ARGV: skew, idle or '' */
const findScript = script(`
local found = redis.call('HMGET', KEYS[1], 'sealed', 'ends', 'idle')
if not found[1] or tonumber(found[2]) <= now or tonumber(found[3]) <= now then return false end
if ARGV[2] ~= '' then
  local left = math.min(tonumber(ARGV[2]), tonumber(found[2]) - now)
  redis.call('HSET', KEYS[1], 'idle', text(now + left))
  redis.call('PEXPIRE', KEYS[1], text(left))
end
return found[1]`)

/** KEYS: owner · ARGV: skew, prefix */
const endAllScript = script(`
local ended = 0
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do ended = ended + redis.call('DEL', ARGV[2] .. name) end
redis.call('DEL', KEYS[1])
return ended`)

/** Logins in Redis, beside the holds. They expire there by themselves. `clockSkewMs` moves the store's clock and is for tests. */
export const openRedisSessionStore = (options: RedisStoreOptions, test: { readonly clockSkewMs?: () => number } = {}): SessionStore => {
  const records = makeRecords(options, 'logins', test)
  const { key, run } = records

  return {
    put: async (entry, { idleMs, atMostMs, perOwner }) => void (await run(putScript, [key(`session:${entry.name}`), ...entry.owners.map((owner) => key(`owner:${owner}`))], [key('session:'), entry.name, entry.sealed, Math.round(idleMs), Math.round(atMostMs), perOwner])),
    find: async (name, idleMs) => ((await run(findScript, [key(`session:${name}`)], [idleMs === undefined ? '' : Math.round(idleMs)])) as string | null) ?? undefined,
    end: async (name) => void (await records.ask((connection) => connection.del(key(`session:${name}`)))),
    endAll: async (owner) => Number(await run(endAllScript, [key(`owner:${owner}`)], [key('session:')])),
    first: async (name, keepMs) => (await records.ask((connection) => connection.set(key(`said:${createHash('sha256').update(name).digest('hex')}`), '1', 'PX', Math.max(1, Math.round(keepMs)), 'NX'))) === 'OK',
    [Symbol.asyncDispose]: () => records[Symbol.asyncDispose](),
  }
}
