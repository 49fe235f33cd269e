package aa.redirect.client;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Date;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/** A certificate authority that signs what a test needs; the files go to its folder. */
final class Authority {
  private final Path folder;
  private final String name;
  private final KeyPair keys = rsa();
  final Path file;

  Authority(Path folder, String name) throws Exception {
    this.folder = folder;
    this.name = name;
    X509v3CertificateBuilder builder = builder(name, keys);
    builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(true));
    file = write(name + ".pem", "CERTIFICATE", sign(builder));
  }

  /** A certificate and its key, in files. */
  record Issued(Path certificate, Path key) {}

  /** For a DNS name or an IP address. */
  Issued issue(String subject) throws Exception {
    KeyPair own = rsa();
    int kind = subject.matches("[0-9.]+") ? GeneralName.iPAddress : GeneralName.dNSName;
    X509v3CertificateBuilder builder = builder(subject, own);
    builder.addExtension(
        Extension.subjectAlternativeName, false, new GeneralNames(new GeneralName(kind, subject)));
    return new Issued(
        write(name + "-" + subject + ".crt", "CERTIFICATE", sign(builder)),
        write(name + "-" + subject + ".key", "PRIVATE KEY", own.getPrivate().getEncoded()));
  }

  private X509v3CertificateBuilder builder(String subject, KeyPair of) {
    Instant now = Instant.now();
    return new JcaX509v3CertificateBuilder(
        new X500Name("CN=" + name),
        BigInteger.valueOf(now.toEpochMilli()),
        Date.from(now.minus(Duration.ofHours(1))),
        Date.from(now.plus(Duration.ofHours(1))),
        new X500Name("CN=" + subject),
        of.getPublic());
  }

  private byte[] sign(X509v3CertificateBuilder builder)
      throws IOException, OperatorCreationException {
    var signer = new JcaContentSignerBuilder("SHA256withRSA").build(keys.getPrivate());
    return builder.build(signer).getEncoded();
  }

  private Path write(String file, String type, byte[] bytes) throws IOException {
    String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes);
    return Files.writeString(
        folder.resolve(file),
        "-----BEGIN " + type + "-----\n" + text + "\n-----END " + type + "-----\n");
  }

  private static KeyPair rsa() throws GeneralSecurityException {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
    generator.initialize(2048);
    return generator.generateKeyPair();
  }
}
