/** Who waits for a record to be safe in one place. Records are called `{replica}/{epoch}/{seq}` and arrive in order. */
export interface Arrivals {
  /** Rejects when it was refused for good, or may have been so long ago that this is not known any more; when too many wait, and when the signal fires. */
  of(id: string, signal: AbortSignal): Promise<void>
  waiting(): number
  /** Resolves when somebody begins to wait, or is in a hurry. For one at a time: asked again, the one before resolves, so that nothing hangs on it for ever. */
  wanted(): Promise<void>
  hurry(): void
  /** Everything up to it has arrived, but for what was refused. */
  reached(id: string): void
  /** This one alone: nothing is said of those before it. */
  refused(id: string): void
  end(): void
}

interface Place {
  readonly epoch: number
  readonly seq: number
}

interface Waiter extends Place {
  readonly settle: (error?: Error) => void
}

/** More than can wait for anything else here. */
const mostWaiting = 10_000
const mostRefused = 1_000

export const makeArrivals = (): Arrivals => {
  const waiters = new Set<Waiter>()
  let through: Place = { epoch: -1, seq: -1 }
  const refused = new Map<string, Place>()
  /** The last of those refused that are not kept one by one any more. Whoever asks for one before it is told no, whichever of them it was. */
  let forgotten: Place = { epoch: -1, seq: -1 }
  let wanted = Promise.withResolvers<void>()
  let ended = false
  const hurry = (): void => {
    wanted.resolve()
    wanted = Promise.withResolvers()
  }

  return {
    of: (id, signal) => {
      const place = placeOf(id)
      if (place === undefined) return Promise.reject(new Error(`${id} is no record`))
      if (refused.has(keyOf(place)) || isUpTo(place, forgotten)) return Promise.reject(new Error('was refused for good'))
      if (isUpTo(place, through)) return Promise.resolve()
      if (ended || signal.aborted) return Promise.reject(new Error('has not arrived in time'))
      if (waiters.size >= mostWaiting) return Promise.reject(new Error('too many wait for it'))
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const late = (): void => waiter.settle(new Error('has not arrived in time'))
      const waiter: Waiter = {
        ...place,
        settle: (error) => {
          waiters.delete(waiter)
          signal.removeEventListener('abort', late)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      waiters.add(waiter)
      signal.addEventListener('abort', late, { once: true })
      hurry()
      return promise
    },
    waiting: () => waiters.size,
    wanted: () => {
      hurry()
      return wanted.promise
    },
    hurry,
    reached: (id) => {
      const place = placeOf(id)
      if (place === undefined || isUpTo(place, through)) return
      through = place
      for (const waiter of waiters) if (isUpTo(waiter, through)) waiter.settle()
    },
    refused: (id) => {
      const place = placeOf(id)
      if (place === undefined) return
      refused.set(keyOf(place), place)
      const [oldest] = refused
      if (refused.size > mostRefused && oldest !== undefined) {
        refused.delete(oldest[0])
        if (isUpTo(forgotten, oldest[1])) forgotten = oldest[1]
      }
      for (const waiter of waiters) if (keyOf(waiter) === keyOf(place)) waiter.settle(new Error('was refused for good'))
    },
    end: () => {
      ended = true
      for (const waiter of waiters) waiter.settle(new Error('the program ends'))
    },
  }
}

const keyOf = ({ epoch, seq }: Place): string => `${epoch}/${seq}`

const isUpTo = (one: Place, other: Place): boolean => one.epoch < other.epoch || (one.epoch === other.epoch && one.seq <= other.seq)

const placeOf = (id: string): Place | undefined => {
  const [, epoch, seq] = /\/(\d{1,15})\/(\d{1,15})$/.exec(id) ?? []
  return seq === undefined ? undefined : { epoch: Number(epoch), seq: Number(seq) }
}
