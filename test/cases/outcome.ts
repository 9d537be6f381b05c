/** A case, or a part of it, that cannot run yet, with the true reason. */
export class Pending extends Error {
  override readonly name = 'Pending'
}

/** The product, seen from outside, did something else than the case asks for. */
export class Failed extends Error {
  override readonly name = 'Failed'
}

export const fail = (why: string): never => {
  throw new Failed(why)
}

export const pending = (why: string): never => {
  throw new Pending(why)
}
