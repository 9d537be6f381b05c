import type { PasskeyEntry, PasskeyStore } from '../../identity/passkey-store.ts'
import type { RedisStoreOptions } from './connection.ts'
import { makeRecords } from './records.ts'
import { script } from './script.ts'

/*
 * passkey:NAME     hash: owner, revision, sealed
 * passkeys:OWNER   the names of this owner's
 *
 * They do not expire. The key of a passkey that is found by its owner is made of a prefix that stands in ARGV.
 */

/** KEYS: passkey, passkeys · ARGV: skew, name, owner, revision, sealed, per owner */
const addScript = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 'known' end
if redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[6]) then return 'full' end
redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'revision', ARGV[4], 'sealed', ARGV[5])
redis.call('SADD', KEYS[2], ARGV[2])
return 'added'`)

/** KEYS: passkeys · ARGV: skew, prefix of passkeys */
const listScript = script(`
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local entry = redis.call('HMGET', ARGV[2] .. name, 'owner', 'revision', 'sealed')
  if entry[1] then found[#found + 1] = {name, entry[1], entry[2], entry[3]} end
end
return found`)

/** KEYS: passkey · ARGV: skew, owner, revision, sealed */
const replaceScript = script(`
local found = redis.call('HMGET', KEYS[1], 'owner', 'revision')
if not found[1] or found[1] ~= ARGV[2] then return 'missing' end
if tonumber(found[2]) ~= tonumber(ARGV[3]) - 1 then return 'conflict' end
redis.call('HSET', KEYS[1], 'revision', ARGV[3], 'sealed', ARGV[4])
return 'replaced'`)

/** KEYS: passkey, passkeys · ARGV: skew, name, owner */
const removeScript = script(`
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[3] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[2])
return 1`)

/** Passkeys in Redis, beside the holds. */
export const openRedisPasskeyStore = (options: RedisStoreOptions): PasskeyStore => {
  const records = makeRecords(options, 'passkeys', {})
  const { key, run, ask } = records
  const own = (name: string): string => key(`passkey:${name}`)
  const all = (owner: string): string => key(`passkeys:${owner}`)
  const entry = (name: string, [owner, revision, sealed]: readonly (string | null)[]): PasskeyEntry | undefined => (owner && revision && sealed ? { name, owner, revision: Number(revision), sealed } : undefined)

  return {
    add: async ({ name, owner, revision, sealed }, perOwner) => (await run(addScript, [own(name), all(owner)], [name, owner, revision, sealed, perOwner])) as 'added' | 'known' | 'full',
    find: async (name) => entry(name, await ask((connection) => connection.hmget(own(name), 'owner', 'revision', 'sealed'))),
    async list(owner) {
      const found = (await run(listScript, [all(owner)], [key('passkey:')])) as readonly (readonly [string, ...(string | null)[]])[]
      return found.flatMap(([name, ...rest]) => entry(name, rest) ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1))
    },
    replace: async ({ name, owner, revision, sealed }) => (await run(replaceScript, [own(name)], [owner, revision, sealed])) as 'replaced' | 'conflict' | 'missing',
    remove: async (name, owner) => (await run(removeScript, [own(name), all(owner)], [name, owner])) === 1,
    [Symbol.asyncDispose]: () => records[Symbol.asyncDispose](),
  }
}
