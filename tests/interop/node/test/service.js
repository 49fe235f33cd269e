// Starts the service under test with its own keyring, and ends it in every case.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const BINARY =
  process.env.AA_REDIRECT_BIN ?? fileURLToPath(new URL('../../../../target/release/aa-redirect', import.meta.url));
const PROTOS = fileURLToPath(new URL('../../../../proto', import.meta.url));
// A test run that is interrupted takes its services with it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

export const { RedirectService } = grpc.loadPackageDefinition(
  protoLoader.loadSync('aa/redirect/v1/redirect.proto', {
    includeDirs: [PROTOS],
    defaults: true,
    enums: String,
    longs: Number,
  }),
).aa.redirect.v1;

/**
 * Starts the service with `pairings` as in the keyring file, whose secrets also have a `text`. Without pairings it
 * serves its sandbox keyring. `stop()` ends it, or the end of this process.
 */
export async function startService({ pairings, args = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'aa-redirect-interop-'));
  const keyring = pairings ? ['--keyring', writeKeyring(folder, pairings)] : [];
  // Settings of the developer's own shell must not reach the service.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AA_REDIRECT_')));
  const child = spawn(BINARY, ['--listen', '127.0.0.1:0', '--log', 'json', ...keyring, ...args], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit').catch(() => {});
  const cleanUp = () => {
    // No drain, because calls that a test still has in flight do not matter.
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', cleanUp);
  const stop = async () => {
    process.removeListener('exit', cleanUp);
    cleanUp();
    await exited;
  };
  try {
    const address = await listenAddress(child);
    return { address, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function listenAddress(child) {
  return new Promise((resolve, reject) => {
    const log = [];
    const patience = setTimeout(() => reject(new Error(`the service does not serve:\n${log.join('\n')}`)), 30_000);
    child.once('error', (error) => reject(new Error(`${BINARY} does not start (AA_REDIRECT_BIN names it): ${error}`)));
    const lines = createInterface({ input: child.stderr });
    lines.on('line', (line) => {
      log.push(line);
      try {
        const { message, listen } = JSON.parse(line);
        if (message !== 'serving') return;
        clearTimeout(patience);
        resolve(listen);
      } catch {
        // Not a log line, but the message of a service that does not start; it is shown below.
      }
    });
    lines.once('close', () => {
      clearTimeout(patience);
      reject(new Error(`the service ended before it served:\n${log.join('\n')}`));
    });
  });
}

function writeKeyring(folder, pairings) {
  const text = pairings.map((pairing, at) => {
    const settings = Object.entries(pairing)
      .filter(([name]) => name !== 'secrets')
      // TOML's strings, numbers and arrays of strings are JSON's.
      .map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
    const secrets = pairing.secrets.map(({ id, text: secret, use }) => {
      const file = `${at}-${id}`;
      writeFileSync(join(folder, file), secret, { mode: 0o600 });
      return `{ id = "${id}", file = "${file}"${use ? `, use = "${use}"` : ''} }`;
    });
    return ['[[pairing]]', ...settings, `secrets = [${secrets.join(', ')}]`].join('\n');
  });
  const file = join(folder, 'keyring.toml');
  writeFileSync(file, text.join('\n\n'));
  return file;
}

/** A secret of the specification's form. */
export function randomSecret() {
  const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_!#$%&*?@^~';
  return Array.from(randomBytes(32), (byte) => alphabet[byte % alphabet.length]).join('');
}

/** A client of `address`; one with `ownConnection` shares its connection with no other. */
export function connect(address, { ownConnection = false } = {}) {
  return new RedirectService(address, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': ownConnection ? 1 : 0,
  });
}

/** One call, as a promise. The deadline only ends a test that hangs. */
export function call(client, method, request, { metadata = new grpc.Metadata(), deadline = Date.now() + 60_000 } = {}) {
  return new Promise((resolve, reject) => {
    client[method](request, metadata, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

/** `google.protobuf.Timestamp` or `Duration` in milliseconds. */
export const toMillis = ({ seconds, nanos }) => seconds * 1000 + Math.floor(nanos / 1e6);

/** Milliseconds as `google.protobuf.Timestamp`. */
export const toTimestamp = (millis) => ({ seconds: Math.floor(millis / 1000), nanos: (millis % 1000) * 1e6 });
