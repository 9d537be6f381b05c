/** Small and repeatable. */
export const draws = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** What a run draws from: told when it fails, given again by CASES_SEED. */
export const seedOf = (): number => Number(process.env['CASES_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
