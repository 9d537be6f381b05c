import { createHmac, timingSafeEqual } from 'node:crypto'

/** How far apart the clocks of Slack and of this machine may be, in either direction. */
const toleranceMs = 300_000

/** Whether these very bytes were signed with this secret, lately. `headers` gives every value of one, as it came. */
export const isSigned = (secret: string, headers: (name: string) => readonly string[], body: Uint8Array, now: number): boolean => {
  const [timestamps, signatures] = [headers('x-slack-request-timestamp'), headers('x-slack-signature')]
  const [timestamp = '', given = ''] = [timestamps[0], signatures[0]]
  if (timestamps.length !== 1 || signatures.length !== 1 || !/^\d{1,12}$/.test(timestamp) || !/^v0=[0-9a-f]{64}$/.test(given)) return false
  if (Math.abs(now - Number(timestamp) * 1_000) > toleranceMs) return false
  const wanted = createHmac('sha256', secret).update(`v0:${timestamp}:`).update(body).digest()
  return timingSafeEqual(wanted, Buffer.from(given.slice(3), 'hex'))
}

/** A repeated message is known by its signature for as long as one could be accepted. */
export const repeatsMs = 2 * toleranceMs
