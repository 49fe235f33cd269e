// Which failures are worth another try, and when. The same in the packages of all languages: docs/clients.md.

import { status } from '@grpc/grpc-js';

import type { FailedTry } from './errors.js';

/** @internal */
export const MAX_TRIES = 3;
const FIRST_BACKOFF_MILLIS = 50;
const MAX_BACKOFF_MILLIS = 500;

/** How long to wait after the try of this number; undefined: another one makes no sense. @internal */
export function waitMillis({ failure, pushback }: FailedTry, tries: number): number | undefined {
  const { reason, code, retryDelayMillis } = failure;
  if (tries >= MAX_TRIES || (pushback !== undefined && !(pushback >= 0))) return undefined;
  if (reason !== 'OVERLOADED' && code !== status.UNAVAILABLE) return undefined;
  if (retryDelayMillis !== undefined && retryDelayMillis > 0) return between(retryDelayMillis, 1, 1.2);
  if (reason === 'OVERLOADED') return undefined;
  return between(Math.min(FIRST_BACKOFF_MILLIS * 2 ** (tries - 1), MAX_BACKOFF_MILLIS), 0.8, 1.2);
}

function between(millis: number, from: number, to: number): number {
  return millis * (from + (to - from) * Math.random());
}
