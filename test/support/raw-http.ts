import { createConnection } from 'node:net'

/** Sends exactly these bytes and gives back everything that came until the other side closed or fell silent past the deadline. */
export const rawHttp = (port: number, text: string, deadlineMs = 3_000): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createConnection(port, '127.0.0.1')
    let answer = ''
    const late = setTimeout(() => socket.destroy(), deadlineMs)
    socket.on('data', (data) => (answer += data.toString('latin1')))
    socket.on('error', reject)
    socket.on('close', () => {
      clearTimeout(late)
      resolve(answer)
    })
    socket.write(text)
  })

export const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
