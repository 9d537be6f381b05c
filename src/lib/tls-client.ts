import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'

/** What a connection over TLS that we open believes, and shows of itself. All PEM. */
export interface TlsFiles {
  /** The authority that alone is believed. Without it: those of the system. */
  readonly ca?: string
  readonly certificate?: { readonly cert: string; readonly key: string }
}

/**
 * For `tls.connect`, and for whoever hands these on to it. The files are read each time, so they may be renewed while we run.
 * Half renewed, a certificate does not fit its key: then whoever keeps this uses what fitted before.
 */
export const tlsClient = ({ ca, certificate }: TlsFiles): { readonly secureContext: SecureContext } => {
  const read = (): SecureContext =>
    createSecureContext({ minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca: readFileSync(ca) }), ...(certificate === undefined ? {} : { cert: readFileSync(certificate.cert), key: readFileSync(certificate.key) }) })
  let last = read()
  return {
    get secureContext() {
      try {
        last = read()
      } catch {
        // The next connection looks again.
      }
      return last
    },
  }
}
