import { printable } from '../../lib/printable.ts'
import { isObject, type RecordData } from '../record-data.ts'
import { ocsfOf } from './mapping.ts'

/** No event of ours is longer: the record stands in it, and at most once again in the members of OCSF. */
export const longestOcsfLine = 192 * 1024

/** One event as one line of printable ASCII, like the log's own. */
export const ocsfLine = (record: RecordData): string => printable(JSON.stringify(ocsfOf(record)))

/**
 * The line of the log that an event was made from, byte for byte, as long as nobody between us and here has put the members of the record into another order.
 * `undefined` where no record is in it.
 */
export const recordLineOf = (event: string): string | undefined => {
  let value: unknown
  try {
    value = JSON.parse(event)
  } catch {
    return undefined
  }
  const unmapped = isObject(value) ? value['unmapped'] : undefined
  const record = isObject(unmapped) ? unmapped['countersign'] : undefined
  return isObject(record) ? printable(JSON.stringify(record)) : undefined
}
