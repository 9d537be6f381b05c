import type { GrantEntry, GrantStore } from '../../approval/grant-store.ts'
import { Refusal } from '../../model/refusal.ts'
import { script, type Script } from './script.ts'

/*
 * grants       id → sealed record      grant-meta   id → the rest of the entry, JSON
 * grant-order  ids by when they were made        grant-ends  ids by the end of their keeping
 * grant-uses:KEY  ids that carry the key, by when they were made; kept a little longer than the last of them
 */

/** KEYS grants meta order ends seq uses. ARGV skew id meta sealed keepUntil usesKeptMs; without a key to be found by, uses are the ids' own. */
const addScript = script(`
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', text(now), 'LIMIT', 0, 20)) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
end
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then return 0 end
local seq = redis.call('INCR', KEYS[5])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[3], seq, ARGV[2])
redis.call('ZADD', KEYS[4], ARGV[5], ARGV[2])
redis.call('ZADD', KEYS[6], seq, ARGV[2])
local left = redis.call('PTTL', KEYS[6])
redis.call('PEXPIRE', KEYS[6], text(math.max(left, tonumber(ARGV[6]))))
return 1`)

/** KEYS grants meta. ARGV skew id */
const readScript = script(`return {redis.call('HGET', KEYS[2], ARGV[2]), redis.call('HGET', KEYS[1], ARGV[2])}`)

/** KEYS grants meta uses. ARGV skew useKey limit. What has ended or carries the key no more is taken out of the way. */
const findScript = script(`
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local meta = redis.call('HGET', KEYS[2], id)
  local sealed = redis.call('HGET', KEYS[1], id)
  local entry = meta and cjson.decode(meta)
  if not sealed or not entry or entry.useKey ~= ARGV[2] then
    redis.call('ZREM', KEYS[3], id)
  elseif entry['until'] >= now and #found < 2 * tonumber(ARGV[3]) then
    found[#found + 1] = meta
    found[#found + 1] = sealed
  end
end
return found`)

/** KEYS grants meta. ARGV skew id meta sealed revision until inTime */
const replaceScript = script(`
local meta = redis.call('HGET', KEYS[2], ARGV[2])
if not meta then return 'missing' end
local old = cjson.decode(meta)
if old.revision ~= tonumber(ARGV[5]) or old['until'] ~= tonumber(ARGV[6]) then return 'conflict' end
if ARGV[7] == '1' and now > old['until'] then return 'late' end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 'replaced'`)

/** KEYS grants meta order. ARGV skew before limit. Answers with where to go on, then meta and record in turn. */
const listScript = script(`
local page = {''}
local found = redis.call('ZREVRANGEBYSCORE', KEYS[3], ARGV[2], '-inf', 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[3]))
for i = 1, #found, 2 do
  local meta = redis.call('HGET', KEYS[2], found[i])
  local sealed = redis.call('HGET', KEYS[1], found[i])
  if meta and sealed then
    page[#page + 1] = meta
    page[#page + 1] = sealed
  end
end
if #found >= 2 * tonumber(ARGV[3]) then page[1] = found[#found] end
return page`)

type Values = readonly (string | number)[]

export interface GrantAccess {
  readonly key: (name: string) => string
  readonly run: (script: Script, keys: readonly string[], values: Values) => Promise<unknown>
  /** The same, and as many copies as configured have it. */
  readonly runSafely: (script: Script, keys: readonly string[], values: Values) => Promise<unknown>
}

const mostFound = 20
/** A key for uses outlives the grants under it. */
const marginMs = 60_000

const metaOf = ({ sealed: _sealed, ...rest }: GrantEntry): string => JSON.stringify(rest)

const entriesIn = (found: readonly (string | null)[]): readonly GrantEntry[] => {
  const entries: GrantEntry[] = []
  for (let at = 0; at + 1 < found.length; at += 2) {
    const [meta, sealed] = [found[at], found[at + 1]]
    if (meta != null && sealed != null) entries.push({ ...(JSON.parse(meta) as Omit<GrantEntry, 'sealed'>), sealed })
  }
  return entries
}

/** Grants in Redis, beside the holds. */
export const makeGrants = ({ key, run, runSafely }: GrantAccess, now: () => Promise<number>): GrantStore => {
  const [grants, meta] = [key('grants'), key('grant-meta')]
  const uses = (useKey: string): string => key(`grant-uses:${useKey}`)
  return {
    add: async (entry, keepMs) => {
      const left = Math.max(1, entry.until - (await now()) + marginMs)
      return (await runSafely(addScript, [grants, meta, key('grant-order'), key('grant-ends'), key('grant-seq'), uses(entry.useKey ?? entry.id)], [entry.id, metaOf(entry), entry.sealed, Math.round(entry.until + keepMs), Math.round(left)])) === 1
    },
    read: async (id) => entriesIn((await run(readScript, [grants, meta], [id])) as string[])[0],
    find: async (useKey) => entriesIn((await run(findScript, [grants, meta, uses(useKey)], [useKey, mostFound])) as string[]),
    replace: async (entry, { revision, inTime }) => (await runSafely(replaceScript, [grants, meta], [entry.id, metaOf(entry), entry.sealed, revision, entry.until, inTime === true ? 1 : 0])) as Awaited<ReturnType<GrantStore['replace']>>,
    list: async ({ after, limit }) => {
      if (after !== undefined && !/^\d{1,16}$/.test(after)) throw new Refusal('malformed', 'This page does not exist.')
      const [next, ...found] = (await run(listScript, [grants, meta, key('grant-order')], [after === undefined ? '+inf' : `(${after}`, Math.max(1, Math.min(limit, 1_000))])) as string[]
      return { entries: entriesIn(found), ...(next ? { next } : {}) }
    },
  }
}
