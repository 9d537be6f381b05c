import type { FoundRecord } from './audit-search.ts'

const timeOf = ({ text }: FoundRecord): string => /"time":"([^"]{1,40})"/.exec(text.slice(0, 400))?.[1] ?? ''
const placeIn = ({ id }: FoundRecord): number[] => id.split('/').slice(1).map(Number)

/** Within a replica as they were written; replicas are put together by their clocks. */
export const inOrder = (records: readonly FoundRecord[]): readonly FoundRecord[] => {
  const logs = [...Map.groupBy(records, ({ id }) => id.split('/')[0]).values()].map((own) => own.toSorted((a, b) => placeIn(a)[0]! - placeIn(b)[0]! || placeIn(a)[1]! - placeIn(b)[1]!))
  const ordered: FoundRecord[] = []
  while (ordered.length < records.length) {
    const first = logs.filter((log) => log.length > 0).reduce((a, b) => (timeOf(b[0]!) < timeOf(a[0]!) ? b : a))
    ordered.push(first.shift()!)
  }
  return ordered
}
