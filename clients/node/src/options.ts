// Where the service is and how to talk to it. Options that do not fit together are refused before anything is sent.

import { isIPv4, isIPv6 } from 'node:net';

import { credentials, InterceptingCall } from '@grpc/grpc-js';
import type { ChannelCredentials, ChannelOptions, Interceptor } from '@grpc/grpc-js';

import type { DeviationDetail } from './results.js';
import { VERSION } from './version.js';

/** TLS of the service, and for mutual TLS of the client; all in PEM. */
export interface TlsOptions {
  /** The roots that sign the server's certificate; by default the roots of Node. */
  readonly roots?: string | Buffer;
  /** The client's certificate, with `key`. */
  readonly certificate?: string | Buffer;
  /** The key of `certificate`. */
  readonly key?: string | Buffer;
  /** The name to expect in the server's certificate; by default that of the address. */
  readonly serverName?: string;
}

/** What the service repaired in a message. Log it and tell the sender. It has no secret. */
export interface DeviationReport {
  readonly method: 'DecodeRedirect' | 'DecodeCallback';
  /** The sender of a redirect. */
  readonly fiuId: string;
  /** The sender of a callback. */
  readonly aaId: string;
  readonly deviations: readonly DeviationDetail[];
}

/** A bearer token, or a function that gives the current one. */
export type Token = string | (() => string | Promise<string>);

/** Where the service is and how to talk to it. */
export interface ClientOptions {
  /** `host:port` or `unix:path`; several are used in turn. */
  readonly addresses: string | readonly string[];
  /** If it is left out: plain text to loopback and Unix sockets, and TLS with the roots of Node to other addresses. */
  readonly tls?: TlsOptions;
  /** Plain text to addresses that are neither loopback nor Unix sockets, for use behind a mesh that adds TLS. */
  readonly plaintext?: boolean;
  /** Sent as `authorization: Bearer …`. A function gives the token of each try; what it throws ends the call as it is. */
  readonly token?: Token;
  /** Sends the token without TLS to addresses that are neither loopback nor Unix sockets. */
  readonly tokenOverPlaintext?: boolean;
  /** For a call as a whole; 2,000 by default. */
  readonly deadlineMillis?: number;
  /** Called once for each opened message that the service repaired. An exception in it becomes a process warning. */
  readonly onDeviations?: (report: DeviationReport) => void;
  /** Interceptors of @grpc/grpc-js. Each try passes through them, and they do not see the token. */
  readonly interceptors?: readonly Interceptor[];
  /** Channel options of @grpc/grpc-js. They override those of this package. */
  readonly channelOptions?: ChannelOptions;
}

/** What a channel is made of. @internal */
export interface Target {
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

/** One target for each address: a list in one channel would be one `:authority`, which no server accepts. @internal */
export function targets(options: ClientOptions): readonly Target[] {
  const addresses = typeof options.addresses === 'string' ? [options.addresses] : [...options.addresses];
  const plain = check(options, addresses);
  return addresses.map((address) => ({
    target: isSocket(address) || ipOf(address) !== undefined ? targetOfIp(address) : `dns:///${address}`,
    credentials: plain ? credentials.createInsecure() : tlsOf(options.tls ?? {}),
    options: {
      'grpc.primary_user_agent': `aa-redirect-node/${VERSION}`,
      // Several hosts behind one name are used in turn, and no service config of DNS changes the tries.
      'grpc.service_config': '{"loadBalancingConfig": [{"round_robin": {}}]}',
      'grpc.service_config_disable_resolution': 1,
      // The calls of this package retry by reason; gRPC's own retry knows codes only.
      'grpc.enable_retries': 0,
      // A server that is back is found within a second.
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 1000,
      // The client notices a connection that a firewall has dropped before a user waits for it.
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 5000,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.use_local_subchannel_pool': 1,
      // Calls to this machine do not go through a proxy of the environment.
      'grpc.enable_http_proxy': isLocal(address) ? 0 : 1,
      ...(isSocket(address) ? { 'grpc.default_authority': 'localhost' } : {}),
      ...(options.tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': options.tls.serverName }),
      ...options.channelOptions,
    },
  }));
}

/** Throws a TypeError for options that do not fit; returns whether the addresses are called in plain text. */
function check(options: ClientOptions, addresses: readonly string[]): boolean {
  if (addresses.length === 0) throw new TypeError('addresses is empty: name at least one host:port or unix:path');
  for (const address of addresses) {
    if (!/^(?:unix:.+|(?:[^[\]:/\s]+|\[[0-9a-f:.]+\]):[0-9]{1,5})$/i.test(address)) {
      throw new TypeError(`the address ${JSON.stringify(address)} is neither host:port nor unix:path`);
    }
  }
  const plaintext = options.plaintext ?? false;
  if (options.tls && plaintext) throw new TypeError('tls and plaintext exclude each other');
  const plain = !options.tls && (plaintext || addresses.every(isLocal));
  if (!plain && addresses.some(isSocket)) {
    throw new TypeError(
      'the service speaks no TLS on a Unix socket: name Unix sockets without TLS, apart from other hosts',
    );
  }
  const { token, deadlineMillis } = options;
  if (typeof token === 'string') checkToken(token);
  if (token !== undefined && plain && !addresses.every(isLocal) && !(options.tokenOverPlaintext ?? false)) {
    throw new TypeError('the token would travel in plain text: use tls, or insist with tokenOverPlaintext');
  }
  if (deadlineMillis !== undefined) checkDeadline(deadlineMillis);
  return plain;
}

function checkToken(token: string): void {
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token)) {
    throw new TypeError('token is empty or has characters that no bearer token has, such as a blank or a line end');
  }
}

/** @internal */
export function checkDeadline(millis: number): void {
  if (!(millis > 0 && Number.isFinite(millis))) throw new TypeError('deadlineMillis is not a positive number');
}

function tlsOf({ roots, certificate, key }: TlsOptions): ChannelCredentials {
  if ((certificate === undefined) !== (key === undefined)) throw new TypeError('tls: certificate and key go together');
  return credentials.createSsl(bytes(roots), bytes(key), bytes(certificate));
}

function bytes(pem: string | Buffer | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem);
}

const isSocket = (address: string): boolean => address.startsWith('unix:');

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');

function ipOf(address: string): 4 | 6 | undefined {
  if (isIPv4(hostOf(address))) return 4;
  return isIPv6(hostOf(address)) ? 6 : undefined;
}

function targetOfIp(address: string): string {
  return isSocket(address) ? address : `ipv${ipOf(address) === 4 ? '4' : '6'}:${address}`;
}

function isLocal(address: string): boolean {
  const host = hostOf(address);
  return isSocket(address) || host === 'localhost' || (isIPv4(host) && host.startsWith('127.')) || host === '::1';
}

/** Adds the current token below the caller's interceptors; adds nothing if there is no token. @internal */
export async function bearer(token: Token | undefined): Promise<Interceptor[]> {
  if (token === undefined) return [];
  const value = typeof token === 'string' ? token : await token();
  checkToken(value);
  return [
    (options, next) =>
      new InterceptingCall(next(options), {
        start: (metadata, listener, start) => {
          metadata.set('authorization', `Bearer ${value}`);
          start(metadata, listener);
        },
      }),
  ];
}
