import { hash } from 'node:crypto'
import type { LinkEntry, LinkStore } from '../../identity/link-store.ts'
import type { RedisStoreOptions } from './connection.ts'
import { makeRecords } from './records.ts'
import { script } from './script.ts'

/*
 * link:ACCOUNT    hash: person, sealed, until
 * linked:PERSON   hash: account, until
 * known:NAME      hash: sealed, until
 * said:NAME       came once
 *
 * The keys of the other half of a link are made of a prefix that stands in ARGV.
 */

/** KEYS: link, linked · ARGV: skew, account, person, sealed, keep */
const linkScript = script(`
local function holder(key, field)
  local found = redis.call('HMGET', key, field, 'until')
  if found[1] and tonumber(found[2]) > now then return found[1] end
end
local person, account = holder(KEYS[1], 'person'), holder(KEYS[2], 'account')
if (person and person ~= ARGV[3]) or (account and account ~= ARGV[2]) then return 0 end
local ends = text(now + tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'person', ARGV[3], 'sealed', ARGV[4], 'until', ends)
redis.call('HSET', KEYS[2], 'account', ARGV[2], 'until', ends)
for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
return 1`)

/** KEYS: link · ARGV: skew */
const byAccountScript = script(`
local found = redis.call('HMGET', KEYS[1], 'person', 'sealed', 'until')
if not found[1] or tonumber(found[3]) <= now then return false end
return {found[1], found[2]}`)

/** KEYS: linked · ARGV: skew, prefix of links */
const byPersonScript = script(`
local account = redis.call('HGET', KEYS[1], 'account')
if not account then return false end
local found = redis.call('HMGET', ARGV[2] .. account, 'sealed', 'until')
if not found[1] or tonumber(found[2]) <= now then return false end
return {account, found[1]}`)

/** KEYS: link, linked · ARGV: skew, person */
const unlinkScript = script(`
local found = redis.call('HMGET', KEYS[1], 'person', 'until')
if not found[1] or found[1] ~= ARGV[2] or tonumber(found[2]) <= now then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
return 1`)

/** KEYS: known · ARGV: skew, sealed, keep */
const knowScript = script(`
redis.call('HSET', KEYS[1], 'sealed', ARGV[2], 'until', text(now + tonumber(ARGV[3])))
redis.call('PEXPIRE', KEYS[1], ARGV[3])`)

/** KEYS: known · ARGV: skew */
const knownScript = script(`
local found = redis.call('HMGET', KEYS[1], 'sealed', 'until')
if not found[1] or tonumber(found[2]) <= now then return false end
return found[1]`)

/** Links in Redis, beside the holds. They expire there by themselves. `clockSkewMs` moves the store's clock and is for tests. */
export const openRedisLinkStore = (options: RedisStoreOptions, test: { readonly clockSkewMs?: () => number } = {}): LinkStore => {
  const records = makeRecords(options, 'links', test)
  const { key, run, ask } = records
  const both = ({ account, person }: Pick<LinkEntry, 'account' | 'person'>): readonly string[] => [key(`link:${account}`), key(`linked:${person}`)]
  const kept = (keepMs: number): number => Math.max(1, Math.round(keepMs))

  return {
    link: async (entry, keepMs) => ((await run(linkScript, both(entry), [entry.account, entry.person, entry.sealed, kept(keepMs)])) === 1 ? 'linked' : 'taken'),
    async byAccount(account) {
      const [person, sealed] = ((await run(byAccountScript, [key(`link:${account}`)], [])) as readonly string[] | null) ?? []
      return person === undefined || sealed === undefined ? undefined : { account, person, sealed }
    },
    async byPerson(person) {
      const [account, sealed] = ((await run(byPersonScript, [key(`linked:${person}`)], [key('link:')])) as readonly string[] | null) ?? []
      return account === undefined || sealed === undefined ? undefined : { account, person, sealed }
    },
    unlink: async (entry) => (await run(unlinkScript, both(entry), [entry.person])) === 1,
    know: async (name, sealed, keepMs) => void (await run(knowScript, [key(`known:${name}`)], [sealed, kept(keepMs)])),
    known: async (name) => ((await run(knownScript, [key(`known:${name}`)], [])) as string | null) ?? undefined,
    forget: async (name) => void (await ask((connection) => connection.del(key(`known:${name}`)))),
    first: async (name, keepMs) => (await ask((connection) => connection.set(key(`said:link:${hash('sha256', name)}`), '1', 'PX', kept(keepMs), 'NX'))) === 'OK',
    [Symbol.asyncDispose]: () => records[Symbol.asyncDispose](),
  }
}
