/**
 * Certificates of one sandbox: a certificate authority of its own and one server certificate for every process that
 * serves TLS on loopback. Made with @peculiar/x509 on Node's WebCrypto, so that no openssl is needed on the machine.
 */
import "reflect-metadata";
import { generateKeyPairSync, randomBytes, webcrypto } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const YEAR_MS = 365 * 24 * 3600 * 1000;

export interface CertificatePaths {
  /** The authority's certificate: what clients verify against. */
  ca: string;
  serverCert: string;
  serverKey: string;
  /** RSA key that signs service account tokens. */
  serviceAccountKey: string;
  serviceAccountPublicKey: string;
}

export function certificatePaths(dir: string): CertificatePaths {
  const certs = join(dir, "certs");
  return {
    ca: join(certs, "ca.crt"),
    serverCert: join(certs, "server.crt"),
    serverKey: join(certs, "server.key"),
    serviceAccountKey: join(certs, "service-account.key"),
    serviceAccountPublicKey: join(certs, "service-account.pub"),
  };
}

async function exportPrivateKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${(der.match(/.{1,64}/g) ?? []).join("\n")}\n-----END PRIVATE KEY-----\n`;
}

/**
 * Writes all certificates of the sandbox in `dir`; keeps those that are there (the authority's key is thrown away, so
 * a set is never extended). Valid for ten years: a sandbox never outlives that.
 */
export async function writeCertificates(dir: string): Promise<CertificatePaths> {
  const paths = certificatePaths(dir);
  if (Object.values(paths).every((path: string) => existsSync(path))) return paths;
  mkdirSync(join(dir, "certs"), { recursive: true, mode: 0o700 });
  x509.cryptoProvider.set(webcrypto);
  const validity = {
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 10 * YEAR_MS),
  };

  const caKeys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: "CN=patchguard-sandbox",
    ...validity,
    signingAlgorithm: algorithm,
    keys: caKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });

  const serverKeys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const server = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: "CN=sandbox",
    issuer: ca.subject,
    ...validity,
    signingAlgorithm: algorithm,
    publicKey: serverKeys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: "dns", value: "kubernetes" },
        { type: "dns", value: "kubernetes.default" },
        { type: "dns", value: "kubernetes.default.svc" },
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "10.96.0.1" },
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(ca),
    ],
  });

  const serviceAccount = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const write = (path: string, text: string): void => writeFileSync(path, text, { mode: 0o600 });
  write(paths.ca, ca.toString("pem") + "\n");
  write(paths.serverCert, server.toString("pem") + "\n");
  write(paths.serverKey, await exportPrivateKey(serverKeys.privateKey));
  write(
    paths.serviceAccountKey,
    serviceAccount.privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
  );
  write(
    paths.serviceAccountPublicKey,
    serviceAccount.publicKey.export({ type: "spki", format: "pem" }).toString(),
  );
  return paths;
}

/** A positive random serial number (the first byte's high bit would make it negative). */
function serialNumber(): string {
  return "01" + randomBytes(15).toString("hex");
}
