import { readFileSync } from 'node:fs'

/** What a listener shows of itself. Both PEM. */
export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** As the files are now; for whatever makes or renews a TLS server. */
export const serverCertificate = ({ certFile, keyFile }: CertificateFiles) => ({ cert: readFileSync(certFile), key: readFileSync(keyFile), minVersion: 'TLSv1.2' as const })
