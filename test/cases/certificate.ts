import { join } from 'node:path'
import { openssl } from '../support/postgres-tls.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

interface Certificate {
  readonly cert: string
  readonly key: string
}

let made: Promise<Certificate> | undefined

const make = async (): Promise<Certificate> => {
  const folder = temporaryFolder('cert').path
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  await openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=app.test', '-addext', 'subjectAltName=DNS:app.test,DNS:wide.test')
  return { cert, key }
}

/** Files with a certificate for the hosts of the profile and its key; made once for a process, gone at its end. */
export const certificate = (): Promise<Certificate> => (made ??= make())
