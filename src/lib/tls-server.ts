import { readFileSync } from 'node:fs'
import { createSecureContext, Server } from 'node:tls'

/** What a listener shows of itself. Both PEM. */
export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** As the files are now; for whatever makes a TLS server. */
export const serverCertificate = ({ certFile, keyFile }: CertificateFiles) => ({ cert: readFileSync(certFile), key: readFileSync(keyFile), minVersion: 'TLSv1.2' as const })

/** Reads the files for a server that runs; throws where they are not a certificate and its key. What it returns shows them to new connections, and cannot fail. */
export const certificateRenewal = (server: object, files: CertificateFiles | undefined): (() => void) => {
  if (files === undefined || !(server instanceof Server)) return () => {}
  const read = serverCertificate(files)
  createSecureContext(read)
  return () => server.setSecureContext(read)
}
