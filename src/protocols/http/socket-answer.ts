import type { Duplex } from 'node:stream'
import type { Answer } from './refusal.ts'

/** A socket that is closed while bytes of the client are unread loses our answer on the way: so we read on for a moment and forget. */
const lingerMs = 500

/** Writes an answer where there is no response object, and closes. */
export const answerSocket = (socket: Duplex, answer: Answer): void => {
  socket.on('error', () => {})
  if (!socket.writable) return void socket.destroy()
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body
  let head = `HTTP/1.1 ${answer.status} \r\n`
  for (let n = 0; n + 1 < answer.headers.length; n += 2) head += `${answer.headers[n]}: ${answer.headers[n + 1]}\r\n`
  socket.end(Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\nconnection: close\r\n\r\n`, 'latin1'), body]))
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
  socket.once('end', () => socket.destroy())
  socket.resume()
}
