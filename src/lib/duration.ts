const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `30s`, `10m`, `1h30m`, `7d` in milliseconds; `undefined` for anything else, zero included. */
export const parseDuration = (text: string): number | undefined => {
  if (!/^(?:\d{1,6}(?:ms|s|m|h|d))+$/.test(text)) return undefined
  let total = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) total += Number(count) * (UNITS[unit ?? ''] ?? 0)
  return total > 0 ? total : undefined
}
