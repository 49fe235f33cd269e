// A CA of the tests and what it issues, as PEM.

import { webcrypto } from 'node:crypto';

import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR = 3_600_000;
let serial = Date.now();

const keys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

function window(expired) {
  const now = Date.now();
  return { notBefore: new Date(now - 2 * HOUR), notAfter: new Date(expired ? now - HOUR : now + HOUR) };
}

export async function authority() {
  const own = await keys();
  serial += 1;
  const name = `CN=ca-${serial}`;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ name, serialNumber: serial.toString(16), keys: own, signingAlgorithm: ALGORITHM, ...window(false) },
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const issue = async ({ names = ['lending.example'], expired = false }) => {
    const theirs = await keys();
    serial += 1;
    const issued = await x509.X509CertificateGenerator.create({
      ...{ subject: `CN=${serial}`, issuer: name, serialNumber: serial.toString(16), signingAlgorithm: ALGORITHM },
      ...{ publicKey: theirs.publicKey, signingKey: own.privateKey, ...window(expired) },
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: /^[0-9.]+$/.test(value) ? 'ip' : 'dns', value })),
        ),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      ],
    });
    const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', theirs.privateKey)).toString('base64');
    const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
    return { certificate: issued.toString('pem'), key };
  };
  return { pem: certificate.toString('pem'), issue };
}
