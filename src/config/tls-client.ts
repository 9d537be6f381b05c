import { X509Certificate } from 'node:crypto'
import { defined } from '../lib/defined.ts'
import { tlsClient, type TlsFiles } from '../lib/tls-client.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { Checks } from './checks.ts'

export interface TlsClientSource {
  readonly 'ca-file'?: string | undefined
  readonly certificate?: { readonly 'cert-file': string; readonly 'key-file': string } | undefined
}

/** `key`: under which the certificate stands there. */
export const makeTlsClient = (path: Path, { 'ca-file': authority, certificate }: TlsClientSource, key: string, checks: Checks): TlsFiles => {
  const ca = checks.file([...path, 'ca-file'], authority)
  const [cert, secret] = (['cert-file', 'key-file'] as const).map((name) => checks.file([...path, key, name], certificate?.[name]))
  if (ca !== undefined && ca.text !== '' && !holds(() => new X509Certificate(ca.text))) checks.report([...path, 'ca-file'], 'is no certificate in PEM')
  const own = cert && secret && { cert: cert.path, key: secret.path }
  if (own !== undefined && cert?.text !== '' && secret?.text !== '') checkCertificate([...path, key], own, checks)
  return defined({ ca: ca?.path, certificate: own })
}

/** What does not fit together would be found out when the first connection comes. */
export const checkCertificate = (path: Path, certificate: NonNullable<TlsFiles['certificate']>, { report }: Checks): void => {
  if (!holds(() => tlsClient({ certificate }))) report(path, 'is no certificate in PEM with its own key')
}

const holds = (work: () => unknown): boolean => {
  try {
    work()
    return true
  } catch {
    return false
  }
}
