import { text, type RecordData } from '../../audit/record-data.ts'
import { decidedWithinMs, endStateOf, endStates, heldStateOf, heldStates, isHeld, otherStates, stateOf, type CaseRow, type EndState } from './case-row.ts'
import type { Exception } from './exceptions.ts'

/* What is counted of a period. */

const step = 200
const steps = 3_000

/** Times up to ten minutes, to a fifth of a second: a median without keeping them all. */
export class Durations {
  readonly #counts = new Uint32Array(steps + 1)
  total = 0

  add(ms: number): void {
    const at = Math.min(steps, Math.floor(ms / step))
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.total++
  }

  median(): number | undefined {
    let seen = 0
    for (const [at, count] of this.#counts.entries()) if (count > 0 && (seen += count) * 2 >= this.total) return at * step + step / 2
    return undefined
  }

  /** How many there are below each of these, in milliseconds, and beyond the last. */
  within(edges: readonly number[]): readonly number[] {
    const found = [...edges.map(() => 0), 0]
    for (const [at, count] of this.#counts.entries()) {
      const place = edges.findIndex((edge) => at * step < edge)
      const to = place === -1 ? edges.length : place
      found[to] = (found[to] ?? 0) + count
    }
    return found
  }
}

export interface ApproverTally {
  readonly who: string
  readonly issuer: string
  readonly channels: Set<string>
  yes: number
  no: number
  readonly durations: Durations
}

const mostApprovers = 2_000
const mostPolicies = 2_000
/** Who decides less often than that shows no habit. */
const habitual = 5
const quickMs = 3_000
const neverNo = 20

const count = <K extends string>(keys: readonly K[]): Record<K, number> => Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>

/** An equation that must hold. */
export interface Equation {
  readonly text: string
  readonly left: number
  readonly right: number
}

export class Tally {
  readonly byType = new Map<string, number>()
  cases = 0
  /** They began before the period and went on in it: not among the cases. */
  carried = 0
  /** Of all records that were read, and of all cases that came of them. */
  readonly #read = { held: 0, started: 0, released: 0, 'credential-lent': 0 }
  readonly #gathered = { held: 0, started: 0, released: 0, returned: 0, out: 0 }
  holds = 0
  readonly held = count(heldStates)
  readonly ends = count(endStates)
  readonly other = count(otherStates)
  readonly otherEnds = count(endStates)
  readonly byDay = new Map<string, Record<(typeof heldStates)[number], number>>()
  readonly approvers = new Map<string, ApproverTally>()
  readonly durations = new Durations()
  readonly services = new Map<string, number>()
  /** Versions that decided. */
  readonly policies = new Set<string>()

  record(record: RecordData, isWithin: boolean): void {
    const type = text(record['type']) ?? ''
    if (type === 'held' || type === 'started' || type === 'released' || type === 'credential-lent') this.#read[type]++
    if (isWithin) this.byType.set(type, (this.byType.get(type) ?? 0) + 1)
  }

  /** `when` it was, of the period: `carried` began before it and went on in it. */
  case(row: CaseRow, when: 'before' | 'carried' | 'within'): void {
    if (row.heldAt !== undefined) this.#gathered.held++
    if (row.releasedAt !== undefined) this.#gathered.released++
    this.#gathered.started += row.starts
    this.#gathered.returned += row.returned
    this.#gathered.out += row.lent - row.returned
    if (when === 'carried') this.carried++
    if (when !== 'within') return
    this.cases++
    const end: EndState = endStateOf(row)
    if (row.policy !== undefined && this.policies.size < mostPolicies) this.policies.add(row.policy)
    if (row.service !== undefined && (this.services.has(row.service) || this.services.size < 500)) this.services.set(row.service, (this.services.get(row.service) ?? 0) + 1)
    if (!isHeld(row)) {
      this.other[stateOf(row) as keyof typeof this.other]++
      if (row.starts > 0) this.otherEnds[end]++
      return
    }
    const state = heldStateOf(row)
    this.holds++
    this.held[state]++
    if (state === 'approved') this.ends[end]++
    const day = new Date(row.first).toISOString().slice(0, 10)
    const days = this.byDay.get(day) ?? count(heldStates)
    days[state]++
    this.byDay.set(day, days)
    for (const vote of row.votes) this.#vote(row, vote)
  }

  #vote(row: CaseRow, vote: CaseRow['votes'][number]): void {
    const key = `${vote.issuer}\n${vote.by}`
    const found = this.approvers.get(key)
    if (found === undefined && this.approvers.size >= mostApprovers) return
    const tally = found ?? { who: vote.by, issuer: vote.issuer, channels: new Set<string>(), yes: 0, no: 0, durations: new Durations() }
    this.approvers.set(key, tally)
    tally.channels.add(vote.channel)
    if (vote.verdict === 'approve') tally.yes++
    else tally.no++
    const ms = decidedWithinMs(row, vote)
    // A program decides as fast as it likes.
    if (ms === undefined || vote.channel === 'automation') return
    tally.durations.add(ms)
    this.durations.add(ms)
  }

  equations(): readonly Equation[] {
    const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)
    const [read, gathered] = [this.#read, this.#gathered]
    return [
      { text: 'records "held" = cases that were held', left: read.held, right: gathered.held },
      { text: 'records "released" = cases that were released', left: read.released, right: gathered.released },
      { text: 'records "started" = starts of all cases', left: read.started, right: gathered.started },
      { text: `credentials lent = returned (${gathered.returned}) + still out (${gathered.out})`, left: read['credential-lent'], right: gathered.returned + gathered.out },
      { text: 'holds = approved + denied + expired + withdrawn + open', left: this.holds, right: sum(this.held) },
      { text: 'approved = executed + failed + unknown + running + not executed', left: this.held.approved, right: sum(this.ends) },
      { text: 'not held = allowed + granted + denied by a rule + refused', left: this.cases - this.holds, right: sum(this.other) },
    ]
  }

  /** People whose decisions look like none: faster than the action can be read, or never a no. */
  habits(): readonly Exception[] {
    return [...this.approvers.values()].flatMap(({ who, yes, no, durations, channels }): Exception[] => {
      if (channels.size === 1 && channels.has('automation')) return []
      const median = durations.median()
      if (durations.total >= habitual && median !== undefined && median < quickMs) return [{ kind: 'approvals without reading', at: '', name: who, text: `${who} decided ${durations.total} times, half of them within ${(median / 1_000).toFixed(1)} s` }]
      return yes >= neverNo && no === 0 ? [{ kind: 'approvals without reading', at: '', name: who, text: `${who} said yes ${yes} times and never no` }] : []
    })
  }
}
