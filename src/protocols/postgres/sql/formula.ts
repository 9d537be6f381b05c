/** True, false, or null: what the server calls unknown. */
export type Truth = 'T' | 'F' | 'N'

/** A condition over rows, in the logic of SQL with its three values. */
export type Formula =
  | { readonly is: 'value'; readonly value: Truth }
  /** Something about the row (or, `constant`, about no row) that may turn out either way. `nullable`: also null. */
  | { readonly is: 'atom'; readonly key: string; readonly nullable: boolean; readonly constant: boolean }
  /** True, unless the atom of that key is true: then null. As in `id = id` and `id IS NULL`. */
  | { readonly is: 'unless-null'; readonly atom: Formula & { readonly is: 'atom' } }
  | { readonly is: 'not'; readonly of: Formula }
  | { readonly is: 'and' | 'or'; readonly of: readonly Formula[] }
  /** `IS TRUE`, `IS NOT FALSE` and so on. */
  | { readonly is: 'test'; readonly of: Formula; readonly accepts: readonly Truth[] }

export const truth = (value: Truth): Formula => ({ is: 'value', value })

export const not = (of: Formula): Formula => ({ is: 'not', of })

type Assignment = ReadonlyMap<string, Truth>

/** More than this many conditions that hold for no row in particular are not tried one by one. */
const constantBound = 3

/** Nodes that may be visited in the search; whoever needs more has no filter that anybody could follow. */
const workBound = 200_000

class TooMuchWork extends Error {}

class Search {
  readonly #formula: Formula
  #left = workBound

  constructor(formula: Formula) {
    this.#formula = formula
  }

  /** `undefined` where the assignment does not decide it. */
  value(given: Assignment, formula: Formula = this.#formula): Truth | undefined {
    if (--this.#left < 0) throw new TooMuchWork()
    switch (formula.is) {
      case 'value':
        return formula.value
      case 'atom':
        return given.get(formula.key)
      case 'unless-null': {
        const isNull = given.get(formula.atom.key)
        return isNull === undefined ? undefined : isNull === 'T' ? 'N' : 'T'
      }
      case 'not': {
        const of = this.value(given, formula.of)
        return of === 'T' ? 'F' : of === 'F' ? 'T' : of
      }
      case 'test': {
        const of = this.value(given, formula.of)
        return of === undefined ? undefined : formula.accepts.includes(of) ? 'T' : 'F'
      }
      default:
        return this.#joined(given, formula.of, formula.is === 'and' ? 'F' : 'T')
    }
  }

  #joined(given: Assignment, parts: readonly Formula[], decides: Truth): Truth | undefined {
    let [open, isNull] = [false, false]
    for (const part of parts) {
      const value = this.value(given, part)
      if (value === decides) return decides
      open ||= value === undefined
      isNull ||= value === 'N'
    }
    return open ? undefined : isNull ? 'N' : decides === 'F' ? 'T' : 'F'
  }

  canBeFalse(given: Assignment, atoms: readonly Atom[]): boolean {
    const value = this.value(given)
    if (value !== undefined) return value === 'F'
    const [atom, ...others] = atoms
    if (atom === undefined) return false
    return valuesOf(atom).some((guess) => this.canBeFalse(new Map(given).set(atom.key, guess), others))
  }
}

type Atom = Formula & { readonly is: 'atom' }

/** The value first that is likely to make the whole false. */
const valuesOf = (atom: Atom & { readonly turned?: boolean }): readonly Truth[] => {
  const [first, second]: readonly Truth[] = atom.turned === true ? ['T', 'F'] : ['F', 'T']
  return [first ?? 'F', second ?? 'T', ...(atom.nullable ? (['N'] as const) : [])]
}

/** Where a formula stands in several places it is looked at once for each way round: nested choices share their parts. */
const collect = (formula: Formula, turned: boolean, into: Map<string, Atom & { readonly turned: boolean }>, seen: readonly [Set<Formula>, Set<Formula>]): void => {
  const here = seen[turned ? 1 : 0]
  if (here.has(formula)) return
  here.add(formula)
  switch (formula.is) {
    case 'value':
      return
    case 'atom':
      if (!into.has(formula.key)) into.set(formula.key, { ...formula, turned })
      return
    case 'unless-null':
      return collect(formula.atom, turned, into, seen)
    case 'not':
      return collect(formula.of, !turned, into, seen)
    case 'test':
      return collect(formula.of, turned !== !formula.accepts.includes('T'), into, seen)
    default:
      for (const part of formula.of) collect(part, turned, into, seen)
  }
}

const assignments = (atoms: readonly Atom[]): readonly Assignment[] =>
  atoms.reduce<readonly Assignment[]>((all, atom) => all.flatMap((one) => valuesOf(atom).map((value) => new Map(one).set(atom.key, value))), [new Map()])

/**
 * Whether some row can fail the condition, whatever the conditions turn out to be that are about no row. A condition that can be
 * shown to hold for all rows, or that is too entangled to tell, restricts nothing.
 */
export const canFail = (formula: Formula): boolean => {
  const found = new Map<string, Atom & { readonly turned: boolean }>()
  collect(formula, false, found, [new Set(), new Set()])
  const [constants, rows] = [[...found.values()].filter(({ constant }) => constant), [...found.values()].filter(({ constant }) => !constant)]
  if (constants.length > constantBound) return false
  const search = new Search(formula)
  try {
    return assignments(constants).every((given) => {
      // One guess for all atoms decides nearly every condition that people write.
      const guess = new Map(given)
      for (const atom of rows) guess.set(atom.key, valuesOf(atom)[0] ?? 'F')
      return search.value(guess) === 'F' || search.canBeFalse(given, rows)
    })
  } catch (error) {
    if (error instanceof TooMuchWork) return false
    throw error
  }
}
