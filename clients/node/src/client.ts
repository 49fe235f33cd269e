// The client: the five calls, their tries, and the reports of deviations.

import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMethodUnary, Message } from '@bufbuild/protobuf';
import type { GenMessage } from '@bufbuild/protobuf/codegenv2';
import { Metadata, status } from '@grpc/grpc-js';
import type { Client, Interceptor, ServiceError } from '@grpc/grpc-js';

import { Channels } from './channels.js';
import * as convert from './convert.js';
import { readFailure, RedirectError } from './errors.js';
import type { FailedTry, LocalReason } from './errors.js';
import * as pb from './gen/aa/redirect/v1/redirect_pb.js';
import { bearer, checkDeadline, targets } from './options.js';
import type { ClientOptions, DeviationReport, Token } from './options.js';
import { pairingOf } from './pairings.js';
import type { Pairing } from './pairings.js';
import { NOT_COMPARED } from './requests.js';
import type {
  CallOptions,
  DecodeCallbackRequest,
  DecodeRedirectRequest,
  EncodeCallbackRequest,
  EncodeRedirectRequest,
  Outcome,
} from './requests.js';
import { OpenedCallback, OpenedRedirect, SealedCallback, SealedRedirect } from './results.js';
import { waitMillis } from './tries.js';

const DEFAULT_DEADLINE_MILLIS = 2000;
const { method: RPC } = pb.RedirectService;

type Unary<I extends Message, O extends Message> = DescMethodUnary<GenMessage<I>, GenMessage<O>>;

/**
 * Calls the service. Make one for the process, and close it at the end.
 *
 * Each call has one deadline, and up to 3 tries inside it. It tries again after `NOT_READY`, `STORE_UNAVAILABLE` and
 * `LOCAL_UNREACHABLE`, with a wait of 50 ms that doubles up to 500 ms, and after `OVERLOADED`, with the wait that the
 * service names. It never tries again after another reason. A decode carries a random attempt id, the same in all its
 * tries, so that after a lost answer the next try does not count as a second opening.
 */
export class RedirectClient {
  readonly #channels: Channels;
  readonly #interceptors: readonly Interceptor[];
  readonly #token: Token | undefined;
  readonly #deadlineMillis: number;
  readonly #onDeviations: ((report: DeviationReport) => void) | undefined;
  readonly #closing = new Set<() => void>();
  #closed = false;

  /** Throws a TypeError for options that do not fit together. Opens no connection yet: the first call does. */
  constructor(options: ClientOptions) {
    this.#channels = new Channels(targets(options));
    this.#interceptors = options.interceptors ?? [];
    this.#token = options.token;
    this.#deadlineMillis = options.deadlineMillis ?? DEFAULT_DEADLINE_MILLIS;
    this.#onDeviations = options.onDeviations;
  }

  /** Seals what an FIU asks an AA for. Called by an FIU, before the user leaves. Rejects with a {@link RedirectError}. */
  async encodeRedirect(request: EncodeRedirectRequest, options?: CallOptions): Promise<SealedRedirect> {
    return new SealedRedirect(await this.#call(RPC.encodeRedirect, convert.encodeRedirect(request), options), request);
  }

  /** Opens the redirect that a browser brought. Called by an AA. Rejects with a {@link RedirectError}. */
  async decodeRedirect(request: DecodeRedirectRequest, options?: CallOptions): Promise<OpenedRedirect> {
    const opened = new OpenedRedirect(await this.#call(RPC.decodeRedirect, convert.decodeRedirect(request), options));
    this.#report('DecodeRedirect', opened);
    return opened;
  }

  /** Seals the outcome for the user's way back. Called by an AA. Rejects with a {@link RedirectError}. */
  async encodeCallback(request: EncodeCallbackRequest, options?: CallOptions): Promise<SealedCallback> {
    return new SealedCallback(await this.#call(RPC.encodeCallback, convert.encodeCallback(request), options));
  }

  /**
   * Seals the outcome of an opened request: `encodeCallback` with the ids, members, return URL and secret of the request.
   * Called by an AA. Rejects with a {@link RedirectError}.
   */
  async answerRedirect(
    opened: OpenedRedirect,
    { errorcode = 0, srcref, extra = {} }: Outcome = {},
    options?: CallOptions,
  ): Promise<SealedCallback> {
    const { txnid, sessionid, userid, redirect, srcref: asked } = opened.redirect;
    const accepted = errorcode === 0;
    const outcome = {
      status: accepted ? 'SUCCESS' : 'FAILURE',
      errorcode,
      srcref: srcref ?? (accepted ? asked : []),
      extra,
    } as const;
    const { fiuId, aaId, secretId } = opened;
    const callback = { txnid, sessionid, userid, ...outcome };
    return this.encodeCallback({ fiuId, aaId, callback, redirectUrl: redirect, secretId }, options);
  }

  /**
   * Opens the callback that a browser brought back. The service compares it with `expected`. Called by an FIU. Rejects
   * with a {@link RedirectError}.
   */
  async decodeCallback(request: DecodeCallbackRequest, options?: CallOptions): Promise<OpenedCallback> {
    const opened = new OpenedCallback(await this.#call(RPC.decodeCallback, convert.decodeCallback(request), options));
    compare(request.expected, opened);
    this.#report('DecodeCallback', opened);
    return opened;
  }

  /**
   * The pairings of the server that the caller may use, ordered by FIU and AA. They come in pages, one call for each
   * page.
   */
  async *pairings(options?: CallOptions): AsyncGenerator<Pairing, void, undefined> {
    let pageToken = '';
    do {
      const request = create(pb.ListPairingsRequestSchema, { pageToken });
      const page = await this.#call(RPC.listPairings, request, options);
      yield* page.pairings.map(pairingOf);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  }

  /** Ends the connections. Calls in flight fail with `LOCAL_CANCELLED`. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#closing) cancel();
    this.#channels.close();
  }

  toJSON(): string {
    return 'RedirectClient';
  }

  [inspect.custom](): string {
    return 'RedirectClient';
  }

  /** The tries of one call. */
  async #call<I extends Message, O extends Message>(
    rpc: Unary<I, O>,
    request: I,
    options: CallOptions = {},
  ): Promise<O> {
    const bytes = encode(rpc, request);
    if (options.deadlineMillis !== undefined) checkDeadline(options.deadlineMillis);
    const deadline = Date.now() + (options.deadlineMillis ?? this.#deadlineMillis);
    const aborting = new AbortController();
    const cancel = (): void => {
      aborting.abort();
    };
    this.#closing.add(cancel);
    options.signal?.addEventListener('abort', cancel, { once: true });
    if (this.#closed || options.signal?.aborted === true) cancel();
    try {
      for (let tries = 1; ; tries += 1) {
        if (aborting.signal.aborted) throw local(rpc.name, 'LOCAL_CANCELLED', status.CANCELLED, tries);
        const interceptors = [...this.#interceptors, ...(await bearer(this.#token))];
        const answer = await attempt(this.#channels.pick(), rpc, bytes, {
          ...{ deadline, tries, metadata: headers(options), interceptors, signal: aborting.signal },
        });
        if ('message' in answer) return answer.message;
        const wait = waitMillis(answer, tries);
        if (wait === undefined || Date.now() + wait >= deadline) throw new RedirectError(answer.failure);
        await sleep(wait, undefined, { signal: aborting.signal }).catch(() => undefined);
      }
    } finally {
      this.#closing.delete(cancel);
      options.signal?.removeEventListener('abort', cancel);
    }
  }

  #report(method: DeviationReport['method'], { fiuId, aaId, deviations }: OpenedRedirect | OpenedCallback): void {
    if (this.#onDeviations === undefined || deviations.length === 0) return;
    try {
      this.#onDeviations(Object.freeze({ method, fiuId, aaId, deviations }));
    } catch (error) {
      // The message is already opened: a fault in the caller's logging must not lose it.
      process.emitWarning(`onDeviations threw: ${String(error)}`, 'AaRedirectWarning');
    }
  }
}

/** Repeats the comparison of the service: an older service that does not know the field `expected` opens any callback. */
function compare(expected: DecodeCallbackRequest['expected'], { callback, fiuId, aaId }: OpenedCallback): void {
  if (expected === NOT_COMPARED) return;
  const pairs = {
    txnid: [expected.txnid, callback.txnid],
    sessionid: [expected.sessionid ?? '', callback.sessionid],
    userid: [expected.userid, callback.userid],
    aa_id: [expected.aaId === undefined || expected.aaId === '' ? aaId : expected.aaId, aaId],
  };
  const differ = Object.entries(pairs).filter(([, [want, got]]) => want !== got);
  if (differ.length === 0) return;
  const fields = differ.map(([name]) => name).join(', ');
  throw new RedirectError({
    ...{ reason: 'NOT_EXPECTED', code: status.FAILED_PRECONDITION, method: 'DecodeCallback', tries: 1 },
    serviceMessage: `the callback opens, but is not the expected one: ${fields} differ`,
    metadata: { fields, fiu_id: fiuId, aa_id: aaId },
  });
}

interface Attempt {
  readonly deadline: number;
  readonly tries: number;
  readonly metadata: Metadata;
  readonly interceptors: Interceptor[];
  readonly signal: AbortSignal;
}

/** One try. */
function attempt<I extends Message, O extends Message>(
  client: Client,
  rpc: Unary<I, O>,
  bytes: Buffer,
  { deadline, tries, metadata, interceptors, signal }: Attempt,
): Promise<{ message: O } | FailedTry> {
  return new Promise((resolve) => {
    let header = new Metadata();
    const call = client.makeUnaryRequest(
      `/${rpc.parent.typeName}/${rpc.name}`,
      (request: Buffer) => request,
      (answer: Buffer) => fromBinary(rpc.output, answer),
      bytes,
      metadata,
      { deadline, interceptors },
      (error: ServiceError | null, message?: O) => {
        signal.removeEventListener('abort', cancel);
        if (error) resolve(readFailure(rpc.name, error, header, tries));
        else if (message) resolve({ message });
      },
    );
    const cancel = (): void => {
      call.cancel();
    };
    signal.addEventListener('abort', cancel, { once: true });
    call.on('metadata', (came: Metadata) => {
      header = came;
    });
  });
}

function encode<I extends Message, O extends Message>(rpc: Unary<I, O>, request: I): Buffer {
  try {
    if (isText(request)) return Buffer.from(toBinary(rpc.input, request));
  } catch {
    // A value of a wrong type; the library's text may quote it.
  }
  throw local(rpc.name, 'FIELD_INVALID', status.INVALID_ARGUMENT, 1);
}

/**
 * Whether all strings of a message are whole. UTF-8 cannot carry half of a surrogate pair, and the encoder would
 * replace it.
 */
function isText(value: unknown): boolean {
  if (typeof value === 'string') return !/\p{Surrogate}/u.test(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([name, part]) => isText(name) && isText(part));
}

function local(method: string, reason: LocalReason | 'FIELD_INVALID', code: status, tries: number): RedirectError {
  const serviceMessage =
    reason === 'FIELD_INVALID'
      ? 'a field of the request has a value that cannot be sent, such as text that is no Unicode'
      : 'the call was cancelled, or the client is closed';
  return new RedirectError({ method, reason, code, tries, serviceMessage });
}

function headers({ requestId, traceparent }: CallOptions): Metadata {
  const metadata = new Metadata();
  if (requestId !== undefined && /^[A-Za-z0-9._-]{1,64}$/.test(requestId)) metadata.set('x-request-id', requestId);
  if (
    traceparent !== undefined &&
    /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]*)?$/.test(traceparent)
  ) {
    metadata.set('traceparent', traceparent);
  }
  return metadata;
}
