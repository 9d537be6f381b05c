import { announce, serverNow } from './page.ts'

const minute = 60_000

const spanText = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 60) return `${seconds} s`
  const [days, hours, minutes] = [Math.floor(ms / (1_440 * minute)), Math.floor(ms / (60 * minute)) % 24, Math.floor(ms / minute) % 60]
  if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`
  return minutes < 10 && seconds % 60 > 0 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`
}

const warned = new Set<string>()

/** Counts down every time that is left, and says once when the hold on the page has a minute to go. */
const tick = (): void => {
  for (const place of document.querySelectorAll<HTMLElement>('.left[data-until]')) {
    const left = Number(place.dataset['until']) - serverNow()
    const text = left > 0 ? `${spanText(left)} left` : 'time is over'
    if (place.textContent !== text) place.textContent = text
    place.classList.toggle('soon', left < minute)
    const hold = place.closest<HTMLElement>('[data-hold]')?.dataset['hold']
    if (hold === undefined || left > minute || left < minute / 2 || warned.has(hold)) continue
    warned.add(hold)
    announce('One minute is left to decide.', true)
  }
}

/** The reader's own time stands beside each absolute one. */
export const localTimes = (): void => {
  for (const place of document.querySelectorAll<HTMLTimeElement>('time:not([title])')) place.title = new Date(place.dateTime).toLocaleString()
}

export const startCountdown = (): void => {
  tick()
  setInterval(tick, 1_000)
}
