// The rival server of the benchmark does the work of the service: each opens what the other seals, in both schemes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { makePairings } from './pairings.js';
import { Random } from './random.js';
import { call, connect } from './packaged.js';
import { startService } from './service.js';

test('the rival opens what the service seals, and the service what the rival seals', async (t) => {
  const all = makePairings();
  const pairings = [all['iv-aa'], all['v1.0-aa']];
  const service = await startService({ pairings });
  t.after(service.stop);
  const clients = [service.address, await startRival(t, pairings)].map((address) => connect(address));
  t.after(() => clients.forEach((client) => client.close()));
  const random = new Random(t.name);

  for (const [sealer, opener] of [clients, clients.toReversed()]) {
    for (const { fiu, aa, webview } of pairings) {
      for (const txnid of ['', random.uuid()]) {
        const redirect = { ...random.redirect(), txnid };
        const request = { fiuId: fiu, aaId: aa, redirect, requestorType: 'REQUESTOR_TYPE_LSP' };
        const { url, query, params, ...sealed } = await call(sealer, 'encodeRedirect', request);
        assert.equal(url, `${webview}?${query}`);
        assert.equal(new URLSearchParams(query).get('ecreq'), params.ecreq);
        assert.equal(sealed.expireTime.seconds - sealed.issueTime.seconds, 180);
        const { age, issueTime, replayUntil, secretId, ...opened } = await call(opener, 'decodeRedirect', {
          aaId: aa,
          url,
        });
        assert.deepEqual(opened, {
          fiuId: fiu,
          aaId: aa,
          redirect: { ...redirect, txnid: sealed.txnid },
          requestorType: 'REQUESTOR_TYPE_LSP',
          primarySecret: true,
          deviations: Object.keys(redirect.extra).length > 0 ? ['DEVIATION_EXTRA_MEMBER'] : [],
        });
        // The date drops the seconds.
        const minute = sealed.issueTime.seconds - (sealed.issueTime.seconds % 60);
        assert.equal(issueTime.seconds, minute);
        assert.deepEqual(replayUntil, { seconds: minute + 240, nanos: 0 });
        assert.ok(age.seconds >= 0 && age.seconds < 120 && secretId && sealed.secretId);
      }
    }
  }

  const [, rival] = clients;
  for (const [method, request, code] of [
    ['encodeRedirect', { fiuId: pairings[0].fiu, aaId: 'iv-aa', redirect: { userid: '', redirect: '', srcref: [] } }, 3],
    ['encodeRedirect', { fiuId: pairings[0].fiu, aaId: 'nobody', redirect: random.redirect() }, 5],
    ['decodeRedirect', { aaId: 'iv-aa', url: 'https://iv.example/webview?fi=AAAA&reqdate=310220240000000' }, 3],
    ['listPairings', {}, 12],
  ]) {
    await assert.rejects(call(rival, method, request), { code });
  }
});

/** Starts the rival server and returns its address; it ends with `t`. */
async function startRival(t, pairings) {
  const folder = mkdtempSync(join(tmpdir(), 'aa-redirect-rival-'));
  const keyring = join(folder, 'keyring.json');
  const entries = pairings.map(({ fiu, aa, profile, webview, secrets: [{ text }] }) => ({
    fiu,
    aa,
    scheme: profile === 'iv' ? 'hkdf-iv' : 'pbkdf2',
    secret: text,
    webview,
    max_age_seconds: 180,
  }));
  writeFileSync(keyring, JSON.stringify(entries), { mode: 0o600 });
  const address = `127.0.0.1:${await freePort()}`;
  const run = fileURLToPath(new URL('../rival/run', import.meta.url));
  const child = spawn(run, ['--listen', address, '--keyring', keyring], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  t.after(async () => {
    kill();
    await exited;
    process.removeListener('exit', kill);
    rmSync(folder, { recursive: true, force: true });
  });
  const { value: line } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  assert.equal(line, 'serving');
  return address;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
