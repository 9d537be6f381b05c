import { lineHead } from '../audit/line.ts'
import type { Severity } from '../audit/ocsf/event.ts'
import { severityOf } from './format.ts'
import type { SinkLine } from './sink.ts'

/*
 * RFC 5424, one record one message:
 *
 *   <PRI>1 TIMESTAMP HOSTNAME  APP-NAME    PROCID  MSGID         STRUCTURED-DATA                             MSG
 *   <110>1 …Z        replica   countersign epoch   type of the   [countersign@32473 id="proxy-0/12/4711"]    what leaves: one JSON object
 *                                                  record
 */

/** By the severity of OCSF: informational, notice, warning, error, critical. */
const severities: Readonly<Record<Severity, number>> = { 1: 6, 2: 5, 3: 4, 4: 3, 5: 2 }

export const syslogMessage = ({ id, text, sent }: SinkLine, { facility, sdId }: { readonly facility: number; readonly sdId: string }): string => {
  const head = lineHead(text)
  const [replica = '', epoch = ''] = head === undefined ? [] : id.split('/')
  return `<${facility * 8 + severities[severityOf(text)]}>1 ${head?.time ?? '-'} ${word(replica, 255)} countersign ${word(epoch, 128)} ${word(head?.type ?? '', 32)} [${sdId} id="${parameter(id)}"] ${sent}`
}

/** Printable ASCII without spaces, or the sign for nothing. */
const word = (value: string, most: number): string => value.replaceAll(/[^\x21-\x7e]/g, '').slice(0, most) || '-'

const parameter = (value: string): string => value.replaceAll(/["\\\]]/g, (sign) => `\\${sign}`)

/** RFC 5425: each message behind its length in octets. */
export const octetCounted = (message: string): Buffer => Buffer.from(`${Buffer.byteLength(message)} ${message}`)
