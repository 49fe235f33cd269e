// One connection for each address, used in turn; addresses that are down are skipped.

import { Client, connectivityState } from '@grpc/grpc-js';

import type { Target } from './options.js';

/** @internal */
export class Channels {
  readonly #clients: readonly Client[];
  #next = 0;

  constructor(targets: readonly Target[]) {
    this.#clients = targets.map(({ target, credentials, options }) => new Client(target, credentials, options));
  }

  /**
   * The next one that is not known to be down, or the next one if all are down. The question makes idle ones connect.
   */
  pick(): Client {
    const turn = this.#next;
    this.#next = (turn + 1) % this.#clients.length;
    const inTurn = [...this.#clients.slice(turn), ...this.#clients.slice(0, turn)];
    const states = inTurn.map((client) => client.getChannel().getConnectivityState(true));
    const up = states.findIndex((state) => state !== connectivityState.TRANSIENT_FAILURE);
    const picked = inTurn[Math.max(up, 0)];
    if (picked === undefined) throw new Error('a client has at least one address');
    return picked;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}
