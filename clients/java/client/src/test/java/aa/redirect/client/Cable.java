package aa.redirect.client;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** Carries TCP to an address until it is cut, and can lose an answer on the way. */
final class Cable implements AutoCloseable {
  private static final int HEADERS = 1;

  private final ServerSocket listener;
  private final String host;
  private final int port;
  private final List<Socket> open = new CopyOnWriteArrayList<>();
  private final AtomicInteger losing = new AtomicInteger();
  final AtomicInteger connections = new AtomicInteger();
  final String address;

  Cable(String to) {
    host = to.substring(0, to.lastIndexOf(':'));
    port = Integer.parseInt(to.substring(to.lastIndexOf(':') + 1));
    try {
      listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
    address = "127.0.0.1:" + listener.getLocalPort();
    start(this::accept);
  }

  /**
   * The next connections end when the server begins to answer on them: the server made the call,
   * but its answer is lost.
   */
  void loseAnswers(int times) {
    losing.set(times);
  }

  void cut() {
    open.forEach(Cable::hangUp);
  }

  private void accept() {
    try {
      while (true) {
        Socket near = listener.accept();
        connections.incrementAndGet();
        Socket far = new Socket(host, port);
        open.addAll(List.of(near, far));
        start(() -> carry(near, far, false));
        start(() -> carry(far, near, true));
      }
    } catch (IOException closed) {
      // The test is over.
    }
  }

  private void carry(Socket source, Socket sink, boolean fromServer) {
    byte[] buffer = new byte[65_536];
    try {
      InputStream in = source.getInputStream();
      OutputStream out = sink.getOutputStream();
      for (int length = in.read(buffer); length >= 0; length = in.read(buffer)) {
        if (fromServer && losing.get() > 0 && hasHeaders(buffer, length)) {
          losing.decrementAndGet();
          break;
        }
        out.write(buffer, 0, length);
        out.flush();
      }
    } catch (IOException broken) {
      // An end closed the connection, so the other end is closed too.
    }
    hangUp(source);
    hangUp(sink);
  }

  /** Whether the HTTP/2 frames (RFC 9113, 4.1) have a HEADERS frame: an answer begins. */
  private static boolean hasHeaders(byte[] data, int length) {
    for (int at = 0; at + 9 <= length; ) {
      if (data[at + 3] == HEADERS) {
        return true;
      }
      at += 9 + ((data[at] & 255) << 16) + ((data[at + 1] & 255) << 8) + (data[at + 2] & 255);
    }
    return false;
  }

  private static void hangUp(Socket end) {
    try {
      end.close();
    } catch (IOException already) {
      // It is closed already.
    }
  }

  private static void start(Runnable work) {
    Thread thread = new Thread(work, "cable");
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public void close() {
    try {
      listener.close();
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
    cut();
  }
}
