import type { Socket } from 'node:net'

/** Until it is done, the connection breaks, or the signal fires. Leaves no listener behind: a connection may stand for months. */
export const during = (socket: Socket, signal: AbortSignal, begin: (done: (error?: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    const end = (error?: Error | null): void => {
      socket.off('error', end).off('close', closed)
      signal.removeEventListener('abort', late)
      if (error) reject(error)
      else resolve()
    }
    const closed = (): void => end(new Error('the other side ended the connection'))
    const late = (): void => end(new Error('no answer in time'))
    if (signal.aborted) return late()
    if (socket.destroyed) return closed()
    socket.on('error', end).on('close', closed)
    signal.addEventListener('abort', late)
    begin(end)
  })
