import type { Requirement } from '../model/decision.ts'

/** For each person that said yes: which of the requirements (by position) they may serve. */
export type Electorate = readonly ReadonlySet<number>[]

/** More choices than this are not tried: then the requirements count as not met. */
const maxChoices = 20_000

/**
 * Whether these people can be given to these requirements so that each has its number of people of its own.
 * A person serves one requirement; or several, if every one of them says that it shares people.
 * No requirement at all, or one that asks for nobody, is never met: such terms cannot come from a policy that loaded.
 */
export const isMet = (requirements: readonly Requirement[], people: Electorate): boolean => {
  if (requirements.length === 0 || requirements.some(({ count }) => !Number.isInteger(count) || count < 1)) return false
  const sharing = requirements.flatMap(({ sharesPeople }, at) => (sharesPeople ? [at] : []))
  const seats = requirements.flatMap(({ count }, at) => (sharing.length > 1 && sharing.includes(at) ? [] : count > people.length ? [at, ...Array.from({ length: people.length }, () => at)] : Array.from({ length: count }, () => at)))
  if (seats.length > people.length) return false
  if (sharing.length < 2) return seated(seats, people)
  return sharingMet(requirements, sharing, seats, people)
}

/**
 * How many people each requirement has so far, each person given where they help most. For people to read: only `isMet` says whether it is enough.
 * Who serves a requirement that shares people is counted after the others have theirs.
 */
export const filled = (requirements: readonly Requirement[], people: Electorate): readonly number[] => {
  if (isMet(requirements, people)) return requirements.map(({ count }) => count)
  const shares = requirements.filter(({ sharesPeople }) => sharesPeople).length > 1
  const seats = requirements.flatMap(({ count, sharesPeople }, at) => (shares && sharesPeople ? [] : Array.from({ length: Math.min(count, people.length) }, () => at)))
  const taken = matching(seats, people)
  const given = requirements.map(() => 0)
  for (const seat of taken.values()) given[seats[seat]!]!++
  return requirements.map(({ count, sharesPeople }, at) => (shares && sharesPeople ? Math.min(count, people.filter((may, person) => may.has(at) && !taken.has(person)).length) : given[at]!))
}

/** Every seat gets a person of its own. */
const seated = (seats: readonly number[], people: Electorate): boolean => matching(seats, people).size === seats.length

/** By augmenting paths as many seats as can be get a person of their own: which seat each person has. */
const matching = (seats: readonly number[], people: Electorate): ReadonlyMap<number, number> => {
  const seatOf = new Map<number, number>()
  const place = (seat: number, tried: Set<number>): boolean => {
    for (const [person, may] of people.entries()) {
      if (tried.has(person) || !may.has(seats[seat]!)) continue
      tried.add(person)
      const other = seatOf.get(person)
      if (other === undefined || place(other, tried)) {
        seatOf.set(person, seat)
        return true
      }
    }
    return false
  }
  for (const seat of seats.keys()) place(seat, new Set())
  return seatOf
}

/** With shared people the choice of who takes an exclusive seat decides who is left to be shared, so choices are tried out. */
const sharingMet = (requirements: readonly Requirement[], sharing: readonly number[], seats: readonly number[], people: Electorate): boolean => {
  const kind = people.map((may) => [...may].toSorted((a, b) => a - b).join())
  const taken = new Set<number>()
  let choices = 0
  const left = (): boolean => sharing.every((at) => people.filter((may, person) => !taken.has(person) && may.has(at)).length >= requirements[at]!.count)
  const fill = (seat: number): boolean => {
    if (++choices > maxChoices || !left()) return false
    if (seat === seats.length) return true
    const tried = new Set<string>() // people who may serve the same requirements are interchangeable
    for (const [person, may] of people.entries()) {
      if (taken.has(person) || !may.has(seats[seat]!) || tried.has(kind[person]!)) continue
      tried.add(kind[person]!)
      taken.add(person)
      if (fill(seat + 1)) return true
      taken.delete(person)
    }
    return false
  }
  return fill(0)
}
