import type { Hold } from '../model/hold.ts'
import type { Notice } from './notices.ts'
import { callerKey, shortHash } from './seal.ts'

/*
 * Holds of one caller that differ in nothing but values and come one upon the other are a crowd. One message speaks of it: that of its speaker,
 * which shows that one hold and says how many more wait. Of the others nothing is shown, so nothing of them is decided there.
 */

interface Crowd {
  readonly key: string
  speaker: string
  /** They wait, in the order in which they came. */
  readonly others: Set<string>
  /** When the latest of them was asked for, by the store's clock. */
  latest: number
  /** By a clock that nobody sets. */
  readonly gatheredAt: number
}

/** The crowds of one channel, as far as this replica has looked at their holds while it speaks. */
export interface Crowds {
  /** The hold whose message speaks of this one, which waits: itself, or another. `told`: what the channel has been told of it. */
  speakerFor(hold: Hold, told: Notice | undefined): string
  /** How much longer others are waited for before a new crowd is told of, in milliseconds. */
  gatheringMs(id: string): number
  /** How many others this one speaks for. */
  othersOf(id: string): number
  /** It waits no more, or has a message of its own. Resolves with who speaks for the rest from now on, if that is another one. */
  leave(id: string): string | undefined
  forget(): void
}

/** With more than that in mind each has a message of its own. */
const mostRemembered = 20_000

/** The rules are a part of it: what another rule holds is another matter, whatever it looks like. */
const keyOf = ({ caller, action, matched }: Hold): string =>
  shortHash([callerKey(caller), action.service, action.shape, ...matched.filter(({ then, observed }) => then === 'hold' && !observed).map(({ policy, rule }) => `${policy}/${rule}`), String(action.impact?.unfiltered ?? '')])

export const makeCrowds = (withinMs: number, gatherMs: number, now: () => number = () => performance.now()): Crowds => {
  const byHold = new Map<string, Crowd>()
  const byKey = new Map<string, Crowd>()

  const begin = (key: string, speaker: string, latest: number, gatheredAt: number): Crowd => {
    const crowd: Crowd = { key, speaker, others: new Set(), latest, gatheredAt }
    byHold.set(speaker, crowd)
    byKey.set(key, crowd)
    return crowd
  }

  const join = (crowd: Crowd, { id, openedAt }: Hold): string => {
    byHold.set(id, crowd)
    crowd.others.add(id)
    crowd.latest = Math.max(crowd.latest, openedAt)
    return crowd.speaker
  }

  return {
    speakerFor(hold, told) {
      const known = byHold.get(hold.id)
      if (known !== undefined) return known.speaker
      if (withinMs <= 0 || byHold.size >= mostRemembered) return hold.id
      const key = keyOf(hold)
      // Another replica has spoken before this one.
      if (told?.with !== undefined) return join(byHold.get(told.with) ?? begin(key, told.with, hold.openedAt, 0), hold)
      const crowd = byKey.get(key)
      if (told === undefined && crowd !== undefined && Math.abs(hold.openedAt - crowd.latest) <= withinMs) return join(crowd, hold)
      return begin(key, hold.id, hold.openedAt, told === undefined ? now() + gatherMs : 0).speaker
    },
    gatheringMs: (id) => Math.max(0, (byHold.get(id)?.gatheredAt ?? 0) - now()),
    othersOf(id) {
      const crowd = byHold.get(id)
      return crowd?.speaker === id ? crowd.others.size : 0
    },
    leave(id) {
      const crowd = byHold.get(id)
      if (crowd === undefined) return undefined
      byHold.delete(id)
      if (crowd.others.delete(id)) return undefined
      const [next] = crowd.others
      if (next === undefined) {
        if (byKey.get(crowd.key) === crowd) byKey.delete(crowd.key)
        return undefined
      }
      crowd.others.delete(next)
      crowd.speaker = next
      return next
    },
    forget() {
      byHold.clear()
      byKey.clear()
    },
  }
}
