const address = /^([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64})@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)$/

/** One plain ASCII address in one of the domains, its domain in lower case; `undefined` for everything else, lists and look-alike letters included. */
export const emailIn = (value: unknown, domains: ReadonlySet<string>): string | undefined => {
  if (typeof value !== 'string' || value.length > 254) return undefined
  const [, local, domain] = address.exec(value) ?? []
  if (local === undefined || domain === undefined) return undefined
  const lower = domain.toLowerCase()
  return domains.has(lower) ? `${local}@${lower}` : undefined
}
