import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface PostgresTls {
  /** PEM file of the authority that signed the server's certificate. */
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const run = promisify(execFile)

/** Others in the same process go on meanwhile. */
export const openssl = async (...args: readonly string[]): Promise<void> => void (await run('openssl', args))

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** An authority of its own and a certificate that it signed for the names (`localhost` and 127.0.0.1 unless told), as files in the folder. */
export const makeTls = async (folder: string, names: readonly string[] = ['DNS:localhost', 'IP:127.0.0.1']): Promise<PostgresTls> => {
  const file = (name: string): string => join(folder, name)
  const [ca, caKey, cert, key, asked, terms] = [file('ca.crt'), file('ca.key'), file('server.crt'), file('server.key'), file('server.csr'), file('server.ext')]
  await openssl('req', '-x509', ...newKey, '-keyout', caKey, '-out', ca, '-days', '2', '-subj', '/CN=test authority')
  await openssl('req', ...newKey, '-keyout', key, '-out', asked, '-subj', '/CN=test server')
  writeFileSync(terms, `subjectAltName=${names.join(',')}\n`)
  await openssl('x509', '-req', '-in', asked, '-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-out', cert, '-days', '2', '-extfile', terms)
  return { ca, cert, key }
}
