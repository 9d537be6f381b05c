import { connect, createServer, type Socket } from 'node:net'

/** What two sockets cost in this runtime: hands on bytes and reads none of them. */
const [port, upstream] = process.argv.slice(2).map(Number)

const hand = (from: Socket, to: Socket): void => {
  from.on('data', (chunk) => void to.write(chunk))
  from.on('error', () => {})
  from.on('close', () => to.destroy())
}

createServer({ noDelay: true }, (client) => {
  const server = connect({ port: upstream!, host: '127.0.0.1', noDelay: true })
  hand(client, server)
  hand(server, client)
}).listen(port, '127.0.0.1')
