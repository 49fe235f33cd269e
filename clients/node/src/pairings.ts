// What operators see of the keyring.

import { durationMs } from '@bufbuild/protobuf/wkt';

import { nameOf } from './enums.js';
import type { Authentication, Reopen, Scheme, SecretState, Unknown } from './enums.js';
import * as pb from './gen/aa/redirect/v1/redirect_pb.js';

/** One FIU and one AA that share secrets. It holds no secret. */
export interface Pairing {
  /** The FIU's id. */
  readonly fiuId: string;
  /** The AA's id. */
  readonly aaId: string;
  /** The profile in the keyring: `iv`, or `v1.0` to `v1.5`. */
  readonly profile: string;
  /** The profile decides it. */
  readonly scheme: Scheme | Unknown | undefined;
  /** The URL of the AA's web view; empty if the keyring has none. */
  readonly webviewUrl: string;
  /** The user-id handles that this AA serves. */
  readonly handles: readonly string[];
  /** Their names and states, in the order in which decoding tries them. */
  readonly secrets: readonly { readonly id: string; readonly state: SecretState | Unknown | undefined }[];
  /** The hosts that redirects may lead to; empty: any host. */
  readonly redirectHosts: readonly string[];
  /**
   * The window: how far a date may lie from now, in the past and in the future. Undefined: an older server does not
   * tell it.
   */
  readonly maxAgeMillis: number | undefined;
  /** The date style that is written: `millis`, `tenths` or `full`. */
  readonly dateStyle: string;
  /** The list syntax that is written: `repeated`, `comma`, `braces` or `json`. */
  readonly listSyntax: string;
  /** Whether the date of a callback is checked. */
  readonly checkResdate: boolean;
  /** What happens to a message that was opened before. */
  readonly reopen: Reopen | Unknown | undefined;
  /** Whether messages carry a tag. */
  readonly authentication: Authentication | Unknown | undefined;
}

/** @internal */
export function pairingOf(message: pb.Pairing): Pairing {
  const { fiuId, aaId, profile, webviewUrl, dateStyle, listSyntax, checkResdate } = message;
  return Object.freeze({
    ...{ fiuId, aaId, profile, webviewUrl, dateStyle, listSyntax, checkResdate },
    scheme: nameOf(pb.Scheme, message.scheme),
    handles: Object.freeze([...message.handles]),
    secrets: Object.freeze(
      message.secrets.map(({ id, state }) => Object.freeze({ id, state: nameOf(pb.SecretState, state) })),
    ),
    redirectHosts: Object.freeze([...message.redirectHosts]),
    maxAgeMillis: message.maxAge && durationMs(message.maxAge),
    reopen: nameOf(pb.Reopen, message.reopen),
    authentication: nameOf(pb.Authentication, message.authentication),
  });
}
