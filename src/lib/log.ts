/** Where a room writes what operators should read. A pino logger is one. Never a secret, never a body. */
export interface Log {
  info(detail: object, text: string): void
  warn(detail: object, text: string): void
  error(detail: object, text: string): void
}
