/** The peer: http-proxy 1.18 as people run it, with a keep-alive agent. `node legacy-proxy.ts <port> <target>` */
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy-legacy'

const [port, target] = process.argv.slice(2)
const proxy = httpProxy.createProxyServer({ target: target!, agent: new Agent({ keepAlive: true, maxSockets: 256 }) })
proxy.on('error', (_error, _request, response) => response.destroy())
createServer((request, response) => proxy.web(request, response)).listen(Number(port), '127.0.0.1')
