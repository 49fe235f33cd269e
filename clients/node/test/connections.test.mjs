// Every option, at the release binary, and what the network and operators do to a call.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import tls from 'node:tls';

import { RedirectClient } from 'aa-redirect';

import { authority } from './certificates.mjs';
import { fake } from './fake.mjs';
import { AA, connect, files, folder, FIU, REDIRECT, SANDBOX, serve, slow } from './service.mjs';

const REQUEST = { fiuId: FIU, redirect: REDIRECT };

const OPTIONS = {
  'no address': [{ addresses: [] }, /addresses is empty/],
  'no port': [{ addresses: 'redirect.internal' }, /neither host:port nor unix:path/],
  'a URL': [{ addresses: 'https://redirect.internal:443' }, /neither host:port nor unix:path/],
  'no host': [{ addresses: ':50051' }, /neither host:port nor unix:path/],
  'no path': [{ addresses: 'unix:' }, /neither host:port nor unix:path/],
  'TLS and plain text': [{ addresses: 'a:1', tls: {}, plaintext: true }, /exclude each other/],
  'TLS on a socket': [{ addresses: 'unix:/a', tls: {} }, /no TLS on a Unix socket/],
  'a socket beside another host': [{ addresses: ['unix:/a', 'b:1'] }, /no TLS on a Unix socket/],
  'a token in plain text': [{ addresses: 'a:1', plaintext: true, token: 't' }, /in plain text/],
  'a token in plain text to one of two': [
    { addresses: ['localhost:1', '10.0.0.1:1'], plaintext: true, token: 't' },
    /in plain text/,
  ],
  'a token of a file, line end and all': [{ addresses: 'localhost:1', token: 't\n' }, /line end/],
  'a deadline of nothing': [{ addresses: 'localhost:1', deadlineMillis: 0 }, /deadlineMillis/],
  'a deadline that is no number': [{ addresses: 'localhost:1', deadlineMillis: NaN }, /deadlineMillis/],
  'a certificate without its key': [{ addresses: 'a:1', tls: { certificate: 'x' } }, /go together/],
  'a token in plain text, insisted on': [{ addresses: 'a:1', plaintext: true, token: 't', tokenOverPlaintext: true }],
  'a token over TLS': [{ addresses: 'a:1', token: 't' }],
  'a token to this machine': [{ addresses: ['127.0.0.2:1', '[::1]:1', 'localhost:1', 'unix:/a'], token: 't' }],
};
for (const [name, [options, says]] of Object.entries(OPTIONS)) {
  test(`options: ${name} ${says ? 'is refused' : 'is taken'}`, () => {
    if (says) assert.throws(() => new RedirectClient(options), { name: 'TypeError', message: says });
    else new RedirectClient(options).close();
  });
}

test('a Unix socket', async (t) => {
  const path = `${folder(t)}/socket`;
  await serve(t, '--listen', `unix:${path}`);
  await connect(t, `unix:${path}`).encodeRedirect(REQUEST);
});

test('several addresses are used in turn, and all but one may fail', async (t) => {
  const path = `${folder(t)}/socket`;
  await serve(t, '--listen', `unix:${path}`);
  const [first, second] = [await serve(t), await serve(t)];
  const client = connect(t, { addresses: [first.address, second.address, `unix:${path}`, '127.0.0.1:1'] });
  for (let n = 0; n < 30; n += 1) await client.encodeRedirect(REQUEST);
  await first.kill();
  for (let n = 0; n < 30; n += 1) await client.encodeRedirect(REQUEST);
  await second.kill();
  for (let n = 0; n < 30; n += 1) await client.encodeRedirect(REQUEST);
});

test('several addresses share the calls, each under its own name', async (t) => {
  const [one, two] = [await fake(t), await fake(t)];
  const named = two.address.replace('127.0.0.1', 'localhost');
  const client = connect(t, { addresses: [one.address, named] });
  for (let n = 0; n < 10; n += 1) await client.encodeRedirect(REQUEST);
  assert.deepEqual([one.requests.length, two.requests.length], [5, 5]);
  assert.deepEqual([one.headers[0].authority, two.headers[0].authority], [one.address, named]);
});

test('TLS with right and wrong certificates', async (t) => {
  const [ca, clients, stranger] = await Promise.all([authority(), authority(), authority()]);
  const start = async (names) => {
    const { certificate, key } = await ca.issue({ names });
    const path = files(t, { 'tls.crt': certificate, 'tls.key': key, 'ca.pem': clients.pem });
    return serve(
      ...[t, '--keyring', SANDBOX, '--tls-cert', `${path}/tls.crt`, '--tls-key', `${path}/tls.key`],
      ...['--tls-client-ca', `${path}/ca.pem`],
    );
  };
  const right = await start(['localhost', '127.0.0.1']);
  const misnamed = await start(['other.example']);
  const expired = await listenTls(t, await ca.issue({ names: ['127.0.0.1'], expired: true }));
  const own = await clients.issue({});
  const withOwn = { roots: ca.pem, ...own };
  const cases = [
    ['mutual TLS', right, withOwn, true],
    ['no certificate of the client’s', right, { roots: ca.pem }, false],
    ['an expired one', right, { roots: ca.pem, ...(await clients.issue({ expired: true })) }, false],
    ['one of another CA', right, { roots: ca.pem, ...(await stranger.issue({})) }, false],
    ['a server of an unknown CA', right, { roots: stranger.pem, ...own }, false],
    ['a server of a CA that the system does not know', right, own, false],
    ['a server whose certificate has expired', expired, withOwn, false],
    ['a server of another name', misnamed, withOwn, false],
    ['a server of another name, expected', misnamed, { ...withOwn, serverName: 'other.example' }, true],
  ];
  for (const [name, { address }, options, works] of cases) {
    await t.test(name, async (t) => {
      const call = connect(t, { addresses: address, tls: options }).encodeRedirect(REQUEST);
      if (works) await call;
      else await assert.rejects(call, { reason: 'LOCAL_UNREACHABLE' });
    });
  }
  await t.test('plain text to a server of TLS', async (t) => {
    await assert.rejects(connect(t, right.address).encodeRedirect(REQUEST), { reason: 'LOCAL_UNREACHABLE' });
  });
  await t.test('two servers, each checked by its own name', async (t) => {
    const second = await start(['localhost']);
    const addresses = [right.address, second.address.replace('127.0.0.1', 'localhost')];
    const client = connect(t, { addresses, tls: withOwn });
    for (let n = 0; n < 4; n += 1) await client.encodeRedirect(REQUEST);
    await right.kill();
    await client.encodeRedirect(REQUEST);
  });
});

/** The service does not start with an expired certificate, so a plain TLS listener presents it here. */
async function listenTls(t, { certificate, key }) {
  const server = tls.createServer({ cert: certificate, key, ALPNProtocols: ['h2'] }, (socket) => socket.destroy());
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { address: `127.0.0.1:${server.address().port}` };
}

test('a client finds a server that is back', async (t) => {
  const first = await serve(t);
  const client = connect(t, first.address);
  await client.encodeRedirect(REQUEST);
  await first.kill();
  await assert.rejects(client.encodeRedirect(REQUEST), { reason: 'LOCAL_UNREACHABLE' });
  await serve(t, '--listen', first.address);
  for (let n = 0; ; n += 1) {
    try {
      await client.encodeRedirect(REQUEST);
      return;
    } catch (error) {
      if (n > 500) throw error;
      await sleep(20);
    }
  }
});

test('a server that goes away in the middle', async (t) => {
  const { address, kill } = await serve(t, '--kdf-threads', '1');
  const client = connect(t, address);
  const calls = Promise.allSettled(Array.from({ length: 100 }, (_, n) => client.encodeRedirect(slow(n))));
  await sleep(50);
  await kill();
  const failed = (await calls).filter(({ status }) => status === 'rejected').map(({ reason }) => reason.reason);
  assert.ok(failed.length > 0, 'all calls were answered before the server went away');
  assert.deepEqual(new Set(failed), new Set(['LOCAL_UNREACHABLE']));
});

test('a decode whose answer is lost is tried again, and is no second opening', async (t) => {
  const proxy = await lossy(t, (await serve(t)).address);
  const client = connect(t, proxy.address);
  const sealed = await client.encodeRedirect(REQUEST);
  proxy.cut = true;
  const opened = await client.decodeRedirect({ aaId: AA, url: sealed.location });
  assert.equal(proxy.cut, false, 'no answer was lost');
  assert.deepEqual([opened.redirect.txnid, opened.reopened], [sealed.txnid, false]);
});

/** Stands between client and server; with `cut` it ends the connection in place of an answer's trailers. */
async function lossy(t, address) {
  const proxy = { cut: false };
  const [host, port] = address.split(':');
  const server = createServer((client) => {
    const upstream = dial(Number(port), host);
    t.after(() => [client, upstream].forEach((socket) => socket.destroy()));
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.pipe(upstream);
    let rest = Buffer.alloc(0);
    upstream.on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      // HTTP/2 frames (RFC 9113, section 4.1): length, type, flags; HEADERS that end the stream are the trailers.
      while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
        const frame = rest.subarray(0, 9 + rest.readUIntBE(0, 3));
        rest = rest.subarray(frame.length);
        if (proxy.cut && frame[3] === 1 && frame[4] & 1) {
          proxy.cut = false;
          upstream.destroy();
          client.destroy();
          return;
        }
        client.write(frame);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  proxy.address = `127.0.0.1:${server.address().port}`;
  return proxy;
}
