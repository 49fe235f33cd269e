// The enums of the proto as strings: names without prefix, so that they read well in code and in logs.

import {
  Authentication as AuthenticationNumbers,
  CallbackStatus as CallbackStatusNumbers,
  Deviation as DeviationNumbers,
  Reopen as ReopenNumbers,
  RequestorType as RequestorTypeNumbers,
  Scheme as SchemeNumbers,
  SecretState as SecretStateNumbers,
} from './gen/aa/redirect/v1/redirect_pb.js';

/** The names of a generated enum. A server that is newer than this package gives `UNKNOWN_n` for a value of its own. */
type Names<E> = Exclude<keyof E & string, 'UNSPECIFIED'>;

/** Who asks for the data. */
export type RequestorType = Names<typeof RequestorTypeNumbers>;
/** The member `status` of a callback: SUCCESS, the user accepted; FAILURE, the error code says why not. */
export type CallbackStatus = Names<typeof CallbackStatusNumbers>;
/** How a pairing derives its keys. */
export type Scheme = Names<typeof SchemeNumbers>;
/** What a secret is used for: PRIMARY seals and opens, DECODE_ONLY opens. */
export type SecretState = Names<typeof SecretStateNumbers>;
/** What becomes of a message that was opened before. */
export type Reopen = Names<typeof ReopenNumbers>;
/** Whether messages of a pairing carry a tag. */
export type Authentication = Names<typeof AuthenticationNumbers>;
/** Something that a sender did that the format does not have, and that was repaired. Tell the sender. */
export type Deviation = Names<typeof DeviationNumbers>;
/** A value of an enum that this package does not know. */
export type Unknown = `UNKNOWN_${number}`;

/** @internal */
export type EnumObject = Record<number, string>;

/** The name of a value: undefined for UNSPECIFIED, `UNKNOWN_n` for one that this package does not know. @internal */
export function nameOf<E extends object>(numbers: E, value: number): Names<E> | Unknown | undefined {
  if (value === 0) return undefined;
  return ((numbers as EnumObject)[value] as Names<E> | undefined) ?? `UNKNOWN_${value}`;
}

/** The number of a name; 0 for undefined. Throws a TypeError for a name that is not of the enum. @internal */
export function numberOf(numbers: object, name: string | undefined, field: string): number {
  if (name === undefined) return 0;
  const value: unknown = Object.hasOwn(numbers, name) ? (numbers as Record<string, unknown>)[name] : undefined;
  if (typeof value !== 'number' || value === 0) throw new TypeError(`${field} has a value that it cannot have`);
  return value;
}
