import { inRange, parseAddress, parseRange } from './address.ts'

/** Whether an address lies in any of the ranges. Throws for a text that is no range; a text that is no address lies in none. */
export const compileCidrs = (texts: readonly string[]): ((address: string) => boolean) => {
  const ranges = texts.map((text) => {
    const range = parseRange(text)
    if (range === undefined) throw new Error(`"${text}" is no address range such as 10.0.0.0/8`)
    return range
  })
  return (text) => {
    const address = parseAddress(text)
    return address !== undefined && ranges.some((range) => inRange(range, address))
  }
}
