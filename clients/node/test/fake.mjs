// A service whose answers a test chooses.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import grpc from '@grpc/grpc-js';

import pb from '../dist/gen/aa/redirect/v1/redirect_pb.js';
import rpc from '../dist/gen/google/rpc/details_pb.js';

/**
 * Gives its answers in turn, then repeats the last one, and keeps the requests that came. An answer is a function of
 * the call, or nothing for an empty response.
 */
export async function fake(t, ...answers) {
  const requests = [];
  const headers = [];
  const server = new grpc.Server();
  const service = {};
  const handlers = {};
  for (const method of pb.RedirectService.methods) {
    service[method.localName] = {
      path: `/${pb.RedirectService.typeName}/${method.name}`,
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes) => fromBinary(method.input, bytes),
      requestSerialize: (message) => Buffer.from(toBinary(method.input, message)),
      responseSerialize: (message) => Buffer.from(toBinary(method.output, message)),
      responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    };
    handlers[method.localName] = (call, respond) => {
      requests.push(call.request);
      headers.push({ ...call.metadata.getMap(), authority: call.getHost() });
      const next = answers[Math.min(requests.length, answers.length) - 1];
      if (next) next(call, respond);
      else respond(null, response(method));
    };
  }
  server.addService(service, handlers);
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  t.after(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, requests, headers, stop: () => server.forceShutdown() };
}

/** The fields that every server sets, and a deviation that no version knows. */
function response(method) {
  const empty = create(method.output);
  if (method.localName.startsWith('decode')) {
    empty.fiuId = 'fiu@sandbox';
    empty.aaId = 'alpha-aa';
    empty.redirect = create(pb.RedirectSchema);
    empty.callback = create(pb.CallbackSchema);
    empty.deviations = [1, 99];
    empty.deviationDetails = [create(pb.DeviationDetailSchema, { deviation: 1, place: 'ecres' })];
  }
  return empty;
}

/** Refuses with a reason of the service, and with the details that the options name. */
export function refuse(code, reason, { domain = 'aa.redirect.v1', violations, requestId, retryMillis, pushback } = {}) {
  const details = [
    anyPack(
      rpc.ErrorInfoSchema,
      create(rpc.ErrorInfoSchema, { reason, domain, metadata: { hint: 'LOCAL_TIME', fields: 'a, b' } }),
    ),
  ];
  if (violations)
    details.push(anyPack(rpc.BadRequestSchema, create(rpc.BadRequestSchema, { fieldViolations: violations })));
  if (requestId) details.push(anyPack(rpc.RequestInfoSchema, create(rpc.RequestInfoSchema, { requestId })));
  if (retryMillis !== undefined) {
    const retryDelay = { seconds: BigInt(Math.floor(retryMillis / 1000)), nanos: (retryMillis % 1000) * 1e6 };
    details.push(anyPack(rpc.RetryInfoSchema, create(rpc.RetryInfoSchema, { retryDelay })));
  }
  return (_, respond) => {
    const metadata = new grpc.Metadata();
    const bytes = toBinary(rpc.StatusSchema, create(rpc.StatusSchema, { details }));
    metadata.set('grpc-status-details-bin', Buffer.from(bytes));
    if (pushback !== undefined) metadata.set('grpc-retry-pushback-ms', pushback);
    respond({ code: grpc.status[code], details: 'what went wrong', metadata });
  };
}

/** Fails without any detail, as a proxy does. */
export const fail = (code, details) => (_, respond) => respond({ code: grpc.status[code], details });

/** Never answers. */
export const hang = () => {};
