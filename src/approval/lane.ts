import { setTimeout as pause } from 'node:timers/promises'

export interface Lane {
  /** There is news of it. */
  add(id: string): void
  /** It is to be looked at in so long at the latest, if nothing stands against it that says when. */
  addLater(id: string, inMs: number): void
  size(): number
  readonly ended: Promise<void>
}

/** Resolves with when to look at this hold again, from now; `undefined`: not before it changes. Never rejects. */
export type Look = (id: string, tries: number) => Promise<{ readonly inMs: number; readonly failed: boolean } | undefined>

/** One hold after the other: those with news in the order in which it came, those to be looked at again when their time has come. */
export const makeLane = (look: Look, speaks: () => boolean, closing: AbortSignal): Lane => {
  const fresh = new Set<string>()
  const later = new Map<string, { readonly at: number; readonly tries: number }>()
  let wake: (() => void) | undefined

  const next = (): { readonly id: string; readonly tries: number } | undefined => {
    for (const id of fresh) {
      fresh.delete(id)
      later.delete(id)
      return { id, tries: 0 }
    }
    const now = performance.now()
    for (const [id, { at, tries }] of later) {
      if (at > now) continue
      later.delete(id)
      return { id, tries }
    }
    return undefined
  }

  const idle = async (): Promise<void> => {
    const soonest = Math.min(...[...later.values()].map(({ at }) => at))
    const timer = new AbortController()
    await Promise.race([
      new Promise<void>((resolve) => (wake = resolve)),
      ...(Number.isFinite(soonest) ? [pause(Math.min(2 ** 31 - 1, Math.max(1, soonest - performance.now())), undefined, { signal: timer.signal, ref: false }).catch(() => {})] : []),
    ])
    wake = undefined
    timer.abort()
  }

  const run = async (): Promise<void> => {
    while (!closing.aborted) {
      const job = next()
      if (job === undefined) {
        await idle()
        continue
      }
      if (!speaks()) continue // the replica that begins to speak looks at everything
      const again = await look(job.id, job.tries)
      if (again === undefined) continue
      const wanted = later.get(job.id) // while it was looked at
      const at = performance.now() + again.inMs
      later.set(job.id, { at: again.failed || wanted === undefined ? at : Math.min(at, wanted.at), tries: again.failed ? job.tries + 1 : job.tries })
    }
  }

  closing.addEventListener('abort', () => wake?.(), { once: true })
  return {
    add(id) {
      fresh.add(id)
      wake?.()
    },
    addLater(id, inMs) {
      const known = later.get(id)
      const at = performance.now() + inMs
      if (fresh.has(id) || (known !== undefined && (known.tries > 0 || known.at <= at))) return
      later.set(id, { at, tries: 0 })
      wake?.()
    },
    size: () => fresh.size + later.size,
    ended: run(),
  }
}
