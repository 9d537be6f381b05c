import { createHash } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

/** The hash that goes with the algorithm by which a certificate is signed. RFC 5929: MD5 and SHA-1 count as SHA-256. */
const hashes: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.4': 'sha256', // MD5 with RSA
  '1.2.840.113549.1.1.5': 'sha256', // SHA-1 with RSA
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.1': 'sha256', // ECDSA with SHA-1
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
}

/** `tls-server-end-point` of a TLS connection; `undefined` where the certificate's signature has no one hash (Ed25519, RSA-PSS). */
export const serverEndPoint = (socket: TLSSocket): Buffer | undefined => {
  const certificate = socket.getPeerX509Certificate()
  const hash = certificate && hashes[certificate.signatureAlgorithmOid]
  return certificate && hash ? createHash(hash).update(certificate.raw).digest() : undefined
}
