// The client that an FIU's or AA's backend needs: the project's service config, a deadline, errors that can be read, and
// a second try where one can help.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

import { readRefusal } from './refusal.js';

// Read in place here; your repository has a copy of this folder with the proto and the service config.
const PROTOS = new URL('../../../../proto/', import.meta.url);
const SERVICE_CONFIG = new URL('aa/redirect/v1/redirect_grpc_service_config.json', PROTOS);
const { RedirectService } = grpc.loadPackageDefinition(
  protoLoader.loadSync('aa/redirect/v1/redirect.proto', {
    includeDirs: [fileURLToPath(PROTOS)],
    defaults: true,
    enums: String,
    longs: Number,
  }),
).aa.redirect.v1;

/** A user waits at the browser: past this time an answer, or a second try, is of no use. */
const DEADLINE_MILLIS = 3000;

/** One client for the life of the process: it holds the connection. Plaintext is for loopback and for a mesh. */
export function connect(address = process.env.AA_REDIRECT_ADDRESS ?? '127.0.0.1:50051') {
  return new RedirectService(address, grpc.credentials.createInsecure(), {
    // Retries of UNAVAILABLE and the timeout of one try come from here, the same for every language.
    'grpc.service_config': readFileSync(SERVICE_CONFIG, 'utf8'),
  });
}

/**
 * Calls `method` (`encodeRedirect`, …). Throws a Refusal. Only OVERLOADED is tried again, and only after the time that
 * the service names: any other refusal would be the same the second time.
 */
export async function call(client, method, request) {
  const deadline = Date.now() + DEADLINE_MILLIS;
  for (;;) {
    try {
      return await new Promise((resolve, reject) => {
        client[method](request, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
      });
    } catch (error) {
      const refusal = readRefusal(error);
      const again = Date.now() + refusal.retryMillis;
      if (refusal.reason !== 'OVERLOADED' || !(again < deadline)) throw refusal;
      await sleep(refusal.retryMillis);
    }
  }
}
