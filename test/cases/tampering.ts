import { DatabaseSync } from 'node:sqlite'
import { Redis } from 'ioredis'
import { pending } from './outcome.ts'
import type { World } from './world.ts'

/* What somebody who reaches the store could write there, without the key that seals its records. */

export interface StoredRecord {
  /** Fields by which the store searches. */
  state: string
  dueAt: number | undefined
  sealed: string
}

interface Access {
  read(id: string): Promise<StoredRecord>
  write(id: string, record: StoredRecord): Promise<void>
  remove(id: string): Promise<void>
  /** Puts another text in the place of what was asked, and leaves all else. */
  replaceAsked(id: string, change: (asked: string) => string): Promise<void>
}

export const reach = async <T>(world: World, use: (access: Access) => Promise<T>): Promise<T> => {
  const { storeAt } = world
  if (storeAt.kind === 'embedded') {
    const database = new DatabaseSync(storeAt.path, { timeout: 3_000 })
    try {
      return await use({
        async read(id) {
          const row = database.prepare('select state, due_at, sealed from holds where id = ?').get(id) as { state: string; due_at: number | null; sealed: string } | undefined
          return row === undefined ? pending('no such record') : { state: row.state, dueAt: row.due_at ?? undefined, sealed: row.sealed }
        },
        write: async (id, { state, dueAt, sealed }) => void database.prepare('update holds set state = ?, due_at = ?, sealed = ? where id = ?').run(state, dueAt ?? null, sealed, id),
        remove: async (id) => void database.exec(`delete from open_keys where id = '${id}'; delete from holds where id = '${id}'`),
        async replaceAsked(id, change) {
          const row = database.prepare('select asked.seq, asked from asked join holds on holds.seq = asked.seq where id = ?').get(id) as { seq: number; asked: string } | undefined
          if (row === undefined) return pending('no such record')
          database.prepare('update asked set asked = ? where seq = ?').run(change(row.asked), row.seq)
        },
      })
    } finally {
      database.close()
    }
  }
  const redis = new Redis(storeAt.url)
  const key = (name: string): string => `{${storeAt.prefix}}:${name}`
  try {
    return await use({
      async read(id) {
        const [sealed, meta] = await Promise.all([redis.hget(key('holds'), id), redis.hget(key('meta'), id)])
        if (sealed === null || meta === null) return pending('no such record')
        const { state, dueAt } = JSON.parse(meta) as { state: string; dueAt?: number }
        return { state, dueAt, sealed }
      },
      async write(id, { state, dueAt, sealed }) {
        const meta = JSON.parse((await redis.hget(key('meta'), id)) ?? '{}') as object
        await redis.multi().hset(key('meta'), id, JSON.stringify({ ...meta, state, ...(dueAt === undefined ? {} : { dueAt }) })).hset(key('holds'), id, sealed).exec()
      },
      async replaceAsked(id, change) {
        const asked = (await redis.hget(key('asked'), id)) ?? pending('no such record')
        await redis.hset(key('asked'), id, change(asked))
      },
      remove: async (id) => void (await redis.multi().hdel(key('holds'), id).hdel(key('meta'), id).exec()),
    })
  } finally {
    redis.disconnect()
  }
}

/** Changes what a record says and leaves its seal as it is: the key is not in the store. */
export const forge = (world: World, id: string, change: (record: { hold: Record<string, unknown> & { votes: unknown[] }; dueAt?: number }) => void): Promise<void> =>
  reach(world, async (access) => {
    const record = await access.read(id)
    const cut = record.sealed.indexOf('{')
    const body = JSON.parse(record.sealed.slice(cut)) as { hold: Record<string, unknown> & { votes: unknown[] }; dueAt?: number }
    change(body)
    await access.write(id, { state: String(body.hold['state']), dueAt: body.dueAt, sealed: record.sealed.slice(0, cut) + JSON.stringify(body) })
  })
