/** A case, or a part of it, that cannot run yet, with the true reason. */
export class Pending extends Error {
  override readonly name = 'Pending'
}

/** A case, or a part of it, about something that by design is not there, so that nothing of it could pass or fail. */
export class Inapplicable extends Error {
  override readonly name = 'Inapplicable'
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

export const inapplicable = (why: string): never => {
  throw new Inapplicable(why)
}
