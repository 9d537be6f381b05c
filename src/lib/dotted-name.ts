/*
 * Names of database objects as one text: public.customers, public.customers.email. A segment with a dot, a quote or nothing but a star in it
 * stands in double quotes, as in SQL, so that no name can pass for another one: "a.b".c is not a.b.c.
 */

export const dottedName = (...segments: readonly string[]): string => segments.map((segment) => (segment === '*' || ODD.test(segment) ? `"${segment.replaceAll('"', '""')}"` : segment)).join('.')

/** All columns of a table. */
export const everyColumn = (...table: readonly string[]): string => `${dottedName(...table)}.*`

/** The segments as they stand: a quoted one with its quotes. */
export const dottedSegments = (name: string): readonly string[] => (name.includes('"') ? (name.match(SEGMENT) ?? [name]) : name.split('.'))

const ODD = /[".]/
const SEGMENT = /(?:"(?:[^"]|"")*"|[^."]|"[^"]*$)+/g
