package aa.redirect.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.EncodeRedirectRequest;
import aa.redirect.v1.EncodeRedirectResponse;
import aa.redirect.v1.Redirect;
import aa.redirect.v1.RedirectServiceGrpc;
import aa.redirect.v1.RedirectServiceGrpc.RedirectServiceBlockingStub;
import io.grpc.EquivalentAddressGroup;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.NameResolverRegistry;
import io.grpc.Status;
import io.grpc.StatusOr;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What an operator does to servers in use: no call of the callers fails. */
class OperationsTest {
  @TempDir Path folder;

  /** A keyring of one pairing with these secrets: the first seals, the others only open. */
  private Path keyring(String name, String... ids) throws Exception {
    List<String> secrets = new ArrayList<>();
    for (String id : ids) {
      Path file = folder.resolve(id);
      if (!Files.exists(file)) {
        Files.writeString(file, Keyring.newSecret());
      }
      String use = secrets.isEmpty() ? "" : ", use = \"decode\"";
      secrets.add("{ id = \"" + id + "\", file = \"" + id + "\"" + use + " }");
    }
    return Files.write(
        folder.resolve(name),
        List.of(
            "[[pairing]]",
            "fiu = \"fiu\"",
            "aa = \"aa\"",
            "profile = \"iv\"",
            "webview = \"https://aa.example/webview\"",
            "secrets = [" + String.join(", ", secrets) + "]"));
  }

  private static EncodeRedirectRequest request() {
    Redirect members =
        Redirect.newBuilder().setUserid("9999988888@aa").setRedirect("https://fiu.example/").addSrcref("H1").build();
    return EncodeRedirectRequest.newBuilder().setFiuId("fiu").setAaId("aa").setRedirect(members).build();
  }

  private static DecodeRedirectResponse decode(RedirectServiceBlockingStub service, EncodeRedirectResponse sealed) {
    return service.decodeRedirect(DecodeRedirectRequest.newBuilder().setAaId("aa").setUrl(sealed.getUrl()).build());
  }

  /** Makes some hundred calls a second until it is closed: encodes, then decodes the result. */
  private static final class Load implements AutoCloseable {
    private static final int THREADS = 4;
    private final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
    private final Map<String, Integer> sealed = new ConcurrentHashMap<>();
    private final List<Thread> threads = new ArrayList<>();
    private volatile boolean ending;

    Load(ManagedChannel channel) {
      var service = RedirectServiceGrpc.newBlockingStub(channel);
      for (int number = 0; number < THREADS; number++) {
        Thread thread = new Thread(() -> run(service), "load " + number);
        thread.start();
        threads.add(thread);
      }
    }

    private void run(RedirectServiceBlockingStub service) {
      while (!ending) {
        try {
          var patient = service.withDeadlineAfter(30, TimeUnit.SECONDS);
          EncodeRedirectResponse response = patient.encodeRedirect(request());
          assertEquals(response.getTxnid(), decode(patient, response).getRedirect().getTxnid());
          sealed.merge(response.getSecretId(), 1, Integer::sum);
          Thread.sleep(20);
        } catch (Throwable e) {
          failures.add(e);
        }
      }
    }

    /** Waits until more calls have been answered by the server that seals with this secret. */
    void awaitSealedWith(String secretId) throws Exception {
      int before = sealed.getOrDefault(secretId, 0);
      await(() -> sealed.getOrDefault(secretId, 0) > before + 60, "no calls are sealed with " + secretId);
    }

    @Override
    public void close() throws Exception {
      ending = true;
      for (Thread thread : threads) {
        thread.join();
      }
      assertEquals(List.of(), List.copyOf(failures));
      assertTrue(sealed.values().stream().mapToInt(Integer::intValue).sum() > 100, "hardly a call was made");
    }
  }

  private static void await(BooleanSupplier condition, String otherwise) throws Exception {
    for (long late = System.nanoTime() + TimeUnit.SECONDS.toNanos(30); !condition.getAsBoolean(); Thread.sleep(20)) {
      assertTrue(System.nanoTime() < late, otherwise);
    }
  }

  @Test
  void aKeyringRotationFailsNoCall() throws Exception {
    Path keyring = keyring("keyring.toml", "2026-05");
    try (Server server = Server.start("--keyring", keyring.toString());
        Load load = new Load(server.connect())) {
      load.awaitSealedWith("2026-05");
      var service = RedirectServiceGrpc.newBlockingStub(server.connect());
      EncodeRedirectResponse before = service.encodeRedirect(request());

      keyring("keyring.toml", "2026-11", "2026-05");
      server.reload();

      DecodeRedirectResponse opened = decode(service, before);
      assertEquals("2026-05", opened.getSecretId());
      assertFalse(opened.getPrimarySecret());
      assertEquals("2026-11", service.encodeRedirect(request()).getSecretId());
      load.awaitSealedWith("2026-11");
    }
  }

  @Test
  void aRollingRestartFailsNoCall() throws Exception {
    // Each server opens what the other seals, and the secret shows which one has answered.
    String[] first = {"--keyring", keyring("first.toml", "a", "b").toString(), "--drain-delay", "1"};
    String[] second = {"--keyring", keyring("second.toml", "b", "a").toString(), "--drain-delay", "1"};
    List<Server> servers = new ArrayList<>(List.of(Server.start(first), Server.start(second)));
    NameResolverProvider addresses = resolver(servers.stream().map(server -> server.address).toList());
    NameResolverRegistry.getDefaultRegistry().register(addresses);
    ManagedChannel channel =
        Grpc.newChannelBuilder("replicas:///all", InsecureChannelCredentials.create())
            .defaultLoadBalancingPolicy("round_robin")
            .disableRetry()
            .build();
    try (Load load = new Load(channel)) {
      for (int number = 0; number < 2; number++) {
        String[] settings = number == 0 ? first : second;
        Server former = servers.get(number);
        assertEquals(0, former.terminate());
        servers.add(Server.startAt(former.address, settings));
        load.awaitSealedWith(number == 0 ? "a" : "b");
      }
    } finally {
      channel.shutdownNow();
      NameResolverRegistry.getDefaultRegistry().deregister(addresses);
      for (Server server : servers) {
        server.close();
      }
    }
  }

  /** Resolves every {@code replicas:} name to these addresses. */
  private static NameResolverProvider resolver(List<String> addresses) {
    List<EquivalentAddressGroup> groups = new ArrayList<>();
    for (String address : addresses) {
      URI uri = URI.create("tcp://" + address);
      groups.add(new EquivalentAddressGroup(new InetSocketAddress(uri.getHost(), uri.getPort())));
    }
    return new NameResolverProvider() {
      @Override
      public NameResolver newNameResolver(URI target, NameResolver.Args args) {
        return new NameResolver() {
          @Override
          public String getServiceAuthority() {
            return "localhost";
          }

          @Override
          public void start(Listener2 listener) {
            listener.onResult(ResolutionResult.newBuilder().setAddressesOrError(StatusOr.fromValue(groups)).build());
          }

          @Override
          public void shutdown() {}
        };
      }

      @Override
      protected boolean isAvailable() {
        return true;
      }

      @Override
      protected int priority() {
        return 5;
      }

      @Override
      public String getDefaultScheme() {
        return "replicas";
      }

      @Override
      public List<Class<? extends SocketAddress>> getProducedSocketAddressTypes() {
        return List.of(InetSocketAddress.class);
      }
    };
  }

  /**
   * A certificate that is its own authority, and its key, both as PEM files of this name. RSA,
   * because the JDK writes ECDSA keys without their public half, which the server's TLS needs.
   */
  private void certificate(String name) throws Exception {
    Path store = folder.resolve(name + ".p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(), "-genkeypair", "-alias", "it",
                "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=" + name, "-ext", "san=ip:127.0.0.1",
                "-storetype", "PKCS12", "-storepass", "password", "-keystore", store.toString())
            .inheritIO()
            .start();
    assertEquals(0, keytool.waitFor());
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream bytes = Files.newInputStream(store)) {
      keys.load(bytes, "password".toCharArray());
    }
    pem(name + ".crt", "CERTIFICATE", keys.getCertificate("it").getEncoded());
    pem(name + ".key", "PRIVATE KEY", keys.getKey("it", "password".toCharArray()).getEncoded());
  }

  private void pem(String file, String type, byte[] bytes) throws Exception {
    String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes);
    Files.writeString(
        folder.resolve(file), "-----BEGIN " + type + "-----\n" + text + "\n-----END " + type + "-----\n");
  }

  @Test
  void withAClientCaOnlyItsCertificatesMayCall() throws Exception {
    certificate("server");
    certificate("client");
    var trusting = TlsChannelCredentials.newBuilder().trustManager(folder.resolve("server.crt").toFile());
    var showing =
        TlsChannelCredentials.newBuilder()
            .trustManager(folder.resolve("server.crt").toFile())
            .keyManager(folder.resolve("client.crt").toFile(), folder.resolve("client.key").toFile());
    try (Server server =
        Server.start(
            "--keyring", keyring("keyring.toml", "2026-11").toString(),
            "--tls-cert", folder.resolve("server.crt").toString(),
            "--tls-key", folder.resolve("server.key").toString(),
            "--tls-client-ca", folder.resolve("client.crt").toString())) {
      var with = RedirectServiceGrpc.newBlockingStub(server.connect(showing.build()));
      assertEquals("2026-11", with.encodeRedirect(request()).getSecretId());
      var without = RedirectServiceGrpc.newBlockingStub(server.connect(trusting.build()));
      var error = assertThrows(StatusRuntimeException.class, () -> without.encodeRedirect(request()));
      assertEquals(Status.Code.UNAVAILABLE, error.getStatus().getCode());
    }
  }
}
