package aa.redirect.client;

import io.grpc.Attributes;
import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.NameResolverRegistry;
import io.grpc.Status;
import io.grpc.StatusOr;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The addresses of a client, and their name in gRPC. gRPC has no names for lists of addresses, so
 * this class defines one.
 */
final class Addresses {
  private static final String SCHEME = "aa-redirect";
  private static final Pattern HOST_PORT =
      Pattern.compile("(?<host>\\[[0-9A-Fa-f:.]+]|[A-Za-z0-9._-]+):(?<port>[0-9]{1,5})");

  static {
    NameResolverRegistry.getDefaultRegistry().register(new ListProvider());
  }

  private final List<String> texts;

  Addresses(List<String> texts) {
    this.texts = List.copyOf(texts);
    if (texts.isEmpty()) {
      throw new IllegalArgumentException("no address: give one or more of host:port, or unix:path");
    }
    for (String text : texts) {
      if (isSocket(text) ? text.length() == "unix:".length() : port(text).isEmpty()) {
        throw new IllegalArgumentException(
            "address '" + text + "' is neither host:port nor unix:path");
      }
    }
    if (texts.size() > 1 && hasSocket()) {
      throw new IllegalArgumentException(
          "a Unix socket goes with no other address: one server listens on it");
    }
  }

  boolean hasSocket() {
    return texts.stream().anyMatch(Addresses::isSocket);
  }

  /** Whether the bytes of a call stay on this machine. */
  boolean areLocal() {
    return texts.stream().allMatch(text -> isSocket(text) || isLoopback(host(text)));
  }

  /** Their name in gRPC. */
  String target() {
    if (texts.size() > 1) {
      return escaped(SCHEME, "/" + this);
    }
    String only = texts.get(0);
    return isSocket(only) ? only : escaped("dns", "/" + only);
  }

  /** A URI with an empty authority. The brackets of IPv6 addresses are escaped in it. */
  private static String escaped(String scheme, String path) {
    try {
      return new URI(scheme, "", path, null).toString();
    } catch (URISyntaxException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  @Override
  public String toString() {
    return String.join(",", texts);
  }

  private static boolean isSocket(String text) {
    return text.startsWith("unix:");
  }

  private static Matcher match(String text) {
    Matcher matcher = HOST_PORT.matcher(text);
    return matcher.matches() ? matcher : null;
  }

  private static Optional<Integer> port(String text) {
    return Optional.ofNullable(match(text))
        .map(matcher -> Integer.parseInt(matcher.group("port")))
        .filter(port -> port > 0 && port < 65_536);
  }

  private static String host(String text) {
    return match(text).group("host");
  }

  private static boolean isLoopback(String host) {
    if (host.equals("localhost")) {
      return true;
    }
    boolean isIp = host.startsWith("[") || host.matches("[0-9.]+");
    try {
      // No look-up: the host is an IP address.
      return isIp && InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException impossible) {
      return false;
    }
  }

  /** Knows the lists that {@link #target} writes. */
  private static final class ListProvider extends NameResolverProvider {
    @Override
    public NameResolver newNameResolver(URI target, NameResolver.Args args) {
      if (!target.getScheme().equals(SCHEME)) {
        return null;
      }
      return new ListResolver(
          List.of(target.getPath().substring(1).split(",")), args.getOffloadExecutor());
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
      return SCHEME;
    }

    @Override
    public Collection<Class<? extends SocketAddress>> getProducedSocketAddressTypes() {
      return List.of(InetSocketAddress.class);
    }
  }

  /** Looks up all names of a list, at the start and each time a connection is lost. */
  private static final class ListResolver extends NameResolver {
    private final List<String> addresses;
    private final Executor executor;
    private Listener2 listener;

    ListResolver(List<String> addresses, Executor executor) {
      this.addresses = addresses;
      this.executor = executor;
    }

    @Override
    public String getServiceAuthority() {
      return addresses.get(0);
    }

    @Override
    public void start(Listener2 listener) {
      this.listener = listener;
      refresh();
    }

    @Override
    public void refresh() {
      executor.execute(() -> listener.onResult(look()));
    }

    private ResolutionResult look() {
      List<EquivalentAddressGroup> found = new ArrayList<>();
      String unknown = "";
      for (String address : addresses) {
        // Each address keeps its own name, for `:authority` and the server's certificate.
        Attributes attributes =
            Attributes.newBuilder()
                .set(EquivalentAddressGroup.ATTR_AUTHORITY_OVERRIDE, address)
                .build();
        try {
          for (InetAddress ip : InetAddress.getAllByName(host(address))) {
            found.add(
                new EquivalentAddressGroup(
                    new InetSocketAddress(ip, port(address).orElseThrow()), attributes));
          }
        } catch (UnknownHostException notFound) {
          unknown += " " + address;
        }
      }
      StatusOr<List<EquivalentAddressGroup>> result =
          found.isEmpty()
              ? StatusOr.fromStatus(Status.UNAVAILABLE.withDescription("unknown hosts:" + unknown))
              : StatusOr.fromValue(found);
      return ResolutionResult.newBuilder().setAddressesOrError(result).build();
    }

    @Override
    public void shutdown() {}
  }
}
