package aa.redirect.client;

import aa.redirect.v1.DecodeCallbackRequest;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.RedirectServiceGrpc;
import com.google.protobuf.Any;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ServerCalls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** A gRPC server that gives these answers in turn, repeats the last one, and keeps the requests. */
final class Script implements AutoCloseable {
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);
  private static final Metadata.Key<String> PUSHBACK =
      Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);

  private final Deque<Object> answers;
  private final io.grpc.Server server;
  final List<Message> asked = Collections.synchronizedList(new ArrayList<>());
  final List<Metadata> headers = Collections.synchronizedList(new ArrayList<>());
  final String address;

  /** Answers are messages, bytes, {@link StatusException}s, or suppliers of them. */
  Script(Object... answers) {
    this.answers = new ArrayDeque<>(Arrays.asList(answers));
    ServerServiceDefinition.Builder service =
        ServerServiceDefinition.builder("aa.redirect.v1.RedirectService");
    add(service, RedirectServiceGrpc.getEncodeRedirectMethod());
    add(service, RedirectServiceGrpc.getDecodeRedirectMethod());
    add(service, RedirectServiceGrpc.getEncodeCallbackMethod());
    add(service, RedirectServiceGrpc.getDecodeCallbackMethod());
    try {
      server =
          Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
              .addService(service.build())
              .intercept(new Recorder())
              .build()
              .start();
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
    address = "127.0.0.1:" + server.getPort();
  }

  private <Q extends Message, A extends Message> void add(
      ServerServiceDefinition.Builder service, MethodDescriptor<Q, A> method) {
    MethodDescriptor<Q, Object> raw =
        method.toBuilder(method.getRequestMarshaller(), new AnyBytes()).build();
    service.addMethod(
        raw,
        ServerCalls.asyncUnaryCall(
            (request, observer) -> {
              asked.add(request);
              Object answer = next();
              while (answer instanceof Supplier<?> supplier) {
                answer = supplier.get();
              }
              if (answer instanceof StatusException error) {
                observer.onError(error);
              } else {
                observer.onNext(answer);
                observer.onCompleted();
              }
            }));
  }

  private synchronized Object next() {
    return answers.size() > 1 ? answers.pop() : answers.peek();
  }

  /** A refusal with an ErrorInfo of this reason and domain, and more details. */
  static StatusException refusal(
      Status.Code code,
      String domain,
      String reason,
      Map<String, String> metadata,
      Message... more) {
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder().setCode(code.value()).setMessage("no");
    status.addDetails(
        Any.pack(
            ErrorInfo.newBuilder()
                .setDomain(domain)
                .setReason(reason)
                .putAllMetadata(metadata)
                .build()));
    for (Message detail : more) {
      status.addDetails(Any.pack(detail));
    }
    Metadata trailers = new Metadata();
    trailers.put(DETAILS, status.build().toByteArray());
    return code.toStatus().withDescription("no").asException(trailers);
  }

  static StatusException refusal(Status.Code code, String reason) {
    return refusal(code, "aa.redirect.v1", reason, Map.of());
  }

  static StatusException overloaded(Duration delay, String pushback) {
    RetryInfo retry =
        RetryInfo.newBuilder()
            .setRetryDelay(
                com.google.protobuf.Duration.newBuilder()
                    .setSeconds(delay.toSeconds())
                    .setNanos(delay.toNanosPart()))
            .build();
    StatusException refusal =
        refusal(Status.Code.RESOURCE_EXHAUSTED, "aa.redirect.v1", "OVERLOADED", Map.of(), retry);
    if (pushback != null) {
      refusal.getTrailers().put(PUSHBACK, pushback);
    }
    return refusal;
  }

  String attemptId(int call) {
    Message message = asked.get(call);
    return message instanceof DecodeRedirectRequest redirect
        ? redirect.getAttemptId()
        : ((DecodeCallbackRequest) message).getAttemptId();
  }

  String header(int call, String name) {
    return headers.get(call).get(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER));
  }

  private final class Recorder implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata sent, ServerCallHandler<Q, A> next) {
      headers.add(sent);
      return Contexts.interceptCall(Context.current(), call, sent, next);
    }
  }

  /** Writes messages, and bytes that are not messages. */
  private static final class AnyBytes implements MethodDescriptor.Marshaller<Object> {
    @Override
    public InputStream stream(Object value) {
      return value instanceof Message message
          ? ProtoUtils.marshaller(message.getDefaultInstanceForType()).stream(message)
          : new ByteArrayInputStream((byte[]) value);
    }

    @Override
    public Object parse(InputStream stream) {
      throw new UnsupportedOperationException();
    }
  }

  @Override
  public void close() {
    server.shutdownNow();
  }
}
