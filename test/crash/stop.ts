import { readFileSync } from 'node:fs'

const file = process.env['COUNTERSIGN_STOP_FILE'] ?? ''

/** Ends this process by SIGKILL if the file that the test writes names this point. Nothing of ours runs after it. */
export const stopAt = (point: string): void => {
  if (readFileSync(file, 'utf8') === point) process.kill(process.pid, 'SIGKILL')
}

/** Stops before the call, in the middle of it (begun, not awaited), or right after it. */
export const around = async <T>(point: string, call: () => Promise<T>): Promise<T> => {
  stopAt(`before ${point}`)
  const under = call()
  stopAt(`during ${point}`)
  const value = await under
  stopAt(`after ${point}`)
  return value
}
