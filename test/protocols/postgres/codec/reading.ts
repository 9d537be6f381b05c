import { backend, readAuthentication, readCommandComplete, readFields, readKeyData, readNegotiation, readNotification, readParameterDescription, readParameterStatus, readRowDescription, readStatus } from '../../../../src/protocols/postgres/codec/backend.ts'
import type { Frame } from '../../../../src/protocols/postgres/codec/frame.ts'
import { decodeFrontend, frontend } from '../../../../src/protocols/postgres/codec/frontend.ts'
import { takeFirstPacket } from '../../../../src/protocols/postgres/codec/greeting.ts'
import { readPassword, readSaslInitial } from '../../../../src/protocols/postgres/codec/proof.ts'

const serverReaders: Readonly<Record<number, (frame: Frame) => unknown>> = {
  [backend.authentication]: readAuthentication, [backend.keyData]: readKeyData, [backend.parameterStatus]: readParameterStatus, [backend.readyForQuery]: readStatus,
  [backend.negotiate]: readNegotiation, [backend.error]: readFields, [backend.notice]: readFields, [backend.notification]: readNotification,
  [backend.rowDescription]: readRowDescription, [backend.commandComplete]: readCommandComplete, [backend.parameterDescription]: readParameterDescription,
}

/** What our own readers make of these bytes. */
export const readAs = (from: 'first' | 'client' | 'password' | 'sasl' | 'server', bytes: Buffer): unknown => {
  const frame: Frame = { type: bytes[0] ?? 0, bytes }
  switch (from) {
    case 'first':
      return takeFirstPacket(bytes)
    case 'client':
      return frame.type === frontend.password ? undefined : decodeFrontend(frame)
    case 'password':
      return readPassword(frame)
    case 'sasl':
      return readSaslInitial(frame)
    case 'server':
      return serverReaders[frame.type]?.(frame)
  }
}

/** As JSON has it: bytes as hexadecimal text, maps as objects. */
export const plainly = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, function (this: Record<string, unknown>, key: string, shown: unknown) {
      const original = this[key]
      return Buffer.isBuffer(original) ? original.toString('hex') : original instanceof Map ? Object.fromEntries(original as Map<string, unknown>) : shown
    }) ?? 'null',
  )
