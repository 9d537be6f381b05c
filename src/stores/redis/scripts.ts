import { script } from './script.ts'

/*
 * Every step is one script, so it is atomic, and takes the time from Redis itself. All keys carry one hash tag.
 *
 * holds    id → sealed record          meta   id → what the store searches by, JSON
 * asked    id → what never changes
 * open     open key → id               index  all ids by order of opening · live: those not yet settled · kept: those settled without an end
 * due      ids by when they are due    gone   settled ids by the end of their keeping
 * changes  stream of (id, state)       open-of-caller:…, open-of-service:…  open ids by their end, for the limits
 */

/** Removes what has been kept long enough, a little with each write. `asked` is which of the keys holds what was asked. */
const purge = (asked: number): string => `
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', text(now), 'LIMIT', 0, 20)) do
  local meta = redis.call('HGET', KEYS[2], id)
  if meta then
    local key = cjson.decode(meta).openKey
    if key and redis.call('HGET', KEYS[3], key) == id then redis.call('HDEL', KEYS[3], key) end
  end
  redis.call('HDEL', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('HDEL', KEYS[${asked}], id)
  for i = 4, 7 do redis.call('ZREM', KEYS[i], id) end
end`

/** KEYS lease. ARGV skew replica forMs */
export const leaseScript = script(`
local held = redis.call('HMGET', KEYS[1], 'replica', 'until')
if held[1] and held[1] ~= ARGV[2] and tonumber(held[2]) > now then return 0 end
redis.call('HSET', KEYS[1], 'replica', ARGV[2], 'until', text(now + tonumber(ARGV[3])))
return 1`)

/** KEYS holds meta open index live due gone changes caller service seq request asked. ARGV skew id meta sealed openKey dueAt perCaller perService supersededId supersededRevision changesKept state request keepMs asked; an empty request: none */
export const openScript = script(`${purge(13)}
local found = redis.call('HGET', KEYS[3], ARGV[5])
if found then
  local meta = redis.call('HGET', KEYS[2], found)
  local sealed = redis.call('HGET', KEYS[1], found)
  if meta and sealed and not (found == ARGV[9] and cjson.decode(meta).revision == tonumber(ARGV[10])) then return {'attached', meta, sealed, redis.call('HGET', KEYS[13], found)} end
end
for i = 9, 10 do redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', text(now - 86400000)) end
if redis.call('ZCOUNT', KEYS[9], text(now), '+inf') >= tonumber(ARGV[7]) then return {'flooded', 'caller'} end
if redis.call('ZCOUNT', KEYS[10], text(now), '+inf') >= tonumber(ARGV[8]) then return {'flooded', 'service'} end
local seq = redis.call('INCR', KEYS[11])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[13], ARGV[2], ARGV[15])
redis.call('HSET', KEYS[3], ARGV[5], ARGV[2])
if ARGV[13] ~= '' then redis.call('SET', KEYS[12], ARGV[13], 'PX', ARGV[14]) end
redis.call('ZADD', KEYS[4], seq, ARGV[2])
redis.call('ZADD', KEYS[5], seq, ARGV[2])
local due = '+inf'
if ARGV[6] ~= '' then
  due = ARGV[6]
  redis.call('ZADD', KEYS[6], due, ARGV[2])
end
for i = 9, 10 do redis.call('ZADD', KEYS[i], due, ARGV[2]) end
redis.call('XADD', KEYS[8], 'MAXLEN', '~', ARGV[11], '*', 'id', ARGV[2], 'state', ARGV[12])
return {'opened'}`)

/** KEYS holds meta open index live due gone changes caller service result asked kept. ARGV skew id meta sealed openKey dueAt revision notAfter notBefore keepMs state phase changesKept result resultKeepMs; phase: open, running, kept, settled; an empty result: none */
export const replaceScript = script(`${purge(12)}
local meta = redis.call('HGET', KEYS[2], ARGV[2])
if not meta then return 'missing' end
local old = cjson.decode(meta)
if old.revision ~= tonumber(ARGV[7]) then return 'conflict' end
if ARGV[8] ~= '' and now > tonumber(ARGV[8]) then return 'late' end
if ARGV[9] ~= '' and now < tonumber(ARGV[9]) then return 'early' end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
if old.openKey and old.openKey ~= ARGV[5] and redis.call('HGET', KEYS[3], old.openKey) == ARGV[2] then redis.call('HDEL', KEYS[3], old.openKey) end
if ARGV[14] ~= '' then redis.call('SET', KEYS[11], ARGV[14], 'PX', ARGV[15]) end
local due = '+inf'
if ARGV[6] ~= '' then
  due = ARGV[6]
  redis.call('ZADD', KEYS[6], due, ARGV[2])
else
  redis.call('ZREM', KEYS[6], ARGV[2])
end
for i = 9, 10 do
  if ARGV[12] == 'open' then redis.call('ZADD', KEYS[i], due, ARGV[2]) else redis.call('ZREM', KEYS[i], ARGV[2]) end
end
if ARGV[12] == 'settled' or ARGV[12] == 'kept' then redis.call('ZREM', KEYS[5], ARGV[2]) end
if ARGV[12] == 'kept' then redis.call('ZADD', KEYS[13], redis.call('ZSCORE', KEYS[4], ARGV[2]), ARGV[2]) else redis.call('ZREM', KEYS[13], ARGV[2]) end
if ARGV[10] ~= '' then redis.call('ZADD', KEYS[7], text(now + tonumber(ARGV[10])), ARGV[2]) else redis.call('ZREM', KEYS[7], ARGV[2]) end
redis.call('XADD', KEYS[8], 'MAXLEN', '~', ARGV[13], '*', 'id', ARGV[2], 'state', ARGV[11])
return 'replaced'`)

/** KEYS holds meta asked. ARGV skew id */
export const readScript = script(`return {redis.call('HGET', KEYS[2], ARGV[2]), redis.call('HGET', KEYS[1], ARGV[2]), redis.call('HGET', KEYS[3], ARGV[2])}`)

/** KEYS holds meta asked open. ARGV skew openKey */
export const findScript = script(`
local id = redis.call('HGET', KEYS[4], ARGV[2])
if not id then return {} end
return {redis.call('HGET', KEYS[2], id), redis.call('HGET', KEYS[1], id), redis.call('HGET', KEYS[3], id)}`)

/** KEYS holds meta. ARGV skew id… Answers with meta and record in turn. */
export const latestScript = script(`
local found = {}
for i = 2, #ARGV do
  found[#found + 1] = redis.call('HGET', KEYS[2], ARGV[i])
  found[#found + 1] = redis.call('HGET', KEYS[1], ARGV[i])
end
return found`)

/** KEYS holds meta ordered asked. ARGV skew before limit service callerKey scan state… Answers with where to go on, then meta, record and what was asked in turn. */
export const listScript = script(`
local found = redis.call('ZREVRANGEBYSCORE', KEYS[3], ARGV[2], '-inf', 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[6]))
local states = {}
for i = 7, #ARGV do states[ARGV[i]] = true end
local page = {''}
local limit = tonumber(ARGV[3])
for i = 1, #found, 2 do
  local meta = redis.call('HGET', KEYS[2], found[i])
  local sealed = redis.call('HGET', KEYS[1], found[i])
  if meta and sealed then
    local entry = cjson.decode(meta)
    if (#ARGV < 7 or states[entry.state]) and (ARGV[4] == '' or entry.service == ARGV[4]) and (ARGV[5] == '' or entry.callerKey == ARGV[5]) then
      page[#page + 1] = meta
      page[#page + 1] = sealed
      page[#page + 1] = redis.call('HGET', KEYS[4], found[i])
      if #page > 3 * limit then
        page[1] = found[i + 1]
        return page
      end
    end
  end
end
if #found >= 2 * tonumber(ARGV[6]) then page[1] = found[#found] end
return page`)

/** KEYS holds meta due asked. ARGV skew limit */
export const dueScript = script(`
local page = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. text(now), 'LIMIT', 0, tonumber(ARGV[2]))) do
  local meta = redis.call('HGET', KEYS[2], id)
  local sealed = redis.call('HGET', KEYS[1], id)
  if meta and sealed then
    page[#page + 1] = meta
    page[#page + 1] = sealed
    page[#page + 1] = redis.call('HGET', KEYS[4], id)
  else
    redis.call('ZREM', KEYS[3], id)
  end
end
return page`)

/** KEYS replicas present. ARGV skew replica fresh id… with + for arrived and - for left in front */
export const beatScript = script(`
redis.call('ZADD', KEYS[1], text(now), ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - 86400000))
if ARGV[3] == '1' then redis.call('DEL', KEYS[2]) end
for i = 4, #ARGV do
  local id = string.sub(ARGV[i], 2)
  if string.sub(ARGV[i], 1, 1) == '+' then redis.call('SADD', KEYS[2], id) else redis.call('SREM', KEYS[2], id) end
end
redis.call('PEXPIRE', KEYS[2], 86400000)
return text(now)`)

/** KEYS replicas. ARGV skew aliveMs */
export const aliveScript = script(`return redis.call('ZRANGEBYSCORE', KEYS[1], text(now - tonumber(ARGV[2])), '+inf', 'WITHSCORES')`)

/** KEYS any. */
export const nowScript = script(`return text(now)`)
