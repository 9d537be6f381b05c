import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { temporaryFolder } from '../support/temporary-folder.ts'

let made: { readonly cert: string; readonly key: string } | undefined

/** Files with a certificate for the hosts of the profile and its key; made once for a process, gone at its end. */
export const certificate = (): { readonly cert: string; readonly key: string } => {
  if (made !== undefined) return made
  const folder = temporaryFolder('cert').path
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=app.test', '-addext', 'subjectAltName=DNS:app.test,DNS:wide.test'], { stdio: 'ignore' })
  made = { cert, key }
  return made
}
