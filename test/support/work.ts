/** How long this thread works on it, in milliseconds: whatever else the machine does meanwhile. */
export const work = (doIt: () => void): number => {
  const before = process.threadCpuUsage()
  doIt()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1_000
}
