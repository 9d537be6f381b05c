/** Keys are milliseconds since then, with room for records of one millisecond: whole numbers of JavaScript until 2089. */
const keysSince = Date.UTC(2020)
export const inOneMs = 4_096
export const keyAt = (time: number): number => (time - keysSince) * inOneMs
export const timeOfKey = (key: number): number => Math.floor(key / inOneMs) + keysSince
