declare module 'http-proxy-legacy' {
  import type { Agent, IncomingMessage, ServerResponse } from 'node:http'

  interface LegacyProxy {
    web(request: IncomingMessage, response: ServerResponse): void
    on(event: 'error', listener: (error: Error, request: IncomingMessage, response: ServerResponse) => void): void
  }
  const legacy: { createProxyServer(options: { readonly target: string; readonly agent: Agent }): LegacyProxy }
  export default legacy
}
