// The examples, run as they stand against the sandbox keyring, and the one retry that they make.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from 'nice-grpc-error-details';
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js';

import { call, connect } from '../example/client.js';
import { RedirectService, startService } from './service.js';

let service;
before(async () => {
  service = await startService();
});
after(() => service?.stop());

test('a user goes from FIU to AA and back, and the FIU learns that he accepted', async (t) => {
  const fiu = run(t, 'fiu.js', [service.address]);
  const redirect = await fiu.line();
  assert.match(redirect, /^https:\/\/alpha\.example\/webview\?/);
  const aa = run(t, 'aa.js', [service.address]);
  aa.say(redirect);
  const callback = await aa.line();
  assert.match(callback, /^https:\/\/fiu\.example\/consent\/done\?lead=42&/);
  fiu.say(callback);
  assert.equal(await fiu.line(), 'accepted: 0b054f6a-a0b3-4424-a668-2b53090bad6f');
  assert.deepEqual(await Promise.all([fiu.end(), aa.end()]), [
    { code: 0, errors: '' },
    { code: 0, errors: '' },
  ]);
});

test('an FIU learns why a user was refused', async (t) => {
  const fiu = run(t, 'fiu.js', [service.address]);
  const aa = run(t, 'aa.js', [service.address, '1']);
  aa.say(await fiu.line());
  fiu.say(await aa.line());
  assert.equal(await fiu.line(), 'refused: Consent is rejected');
  assert.deepEqual(await fiu.end(), { code: 0, errors: '' });
});

test('an FIU takes no answer to another request', async (t) => {
  const [mine, other, aa] = [
    run(t, 'fiu.js', [service.address]),
    run(t, 'fiu.js', [service.address]),
    run(t, 'aa.js', [service.address]),
  ];
  await mine.line();
  aa.say(await other.line());
  const callback = await aa.line();
  mine.say(callback);
  assert.deepEqual(await mine.end(), { code: 1, errors: 'Error: this callback answers another request\n' });
});

test('an example shows which fields are wrong', async (t) => {
  const { code, errors } = await run(t, 'fiu.js', [service.address, 'nobody']).end();
  assert.equal(code, 1);
  assert.match(errors, /^FIELD_INVALID: .*\n(?:.*\n)* {2}redirect\.userid .+\n$/);
});

test('an example shows the reason and its variables', async (t) => {
  const aa = run(t, 'aa.js', [service.address]);
  aa.say('https://alpha.example/webview?fi=AAAA&reqdate=060420210510756');
  const { code, errors } = await aa.end();
  assert.equal(code, 1);
  assert.match(errors, /^URL_MALFORMED: .*\n(?:.*\n)* {2}parameter = ecreq\n/);
});

test('an example says so where no service is', async (t) => {
  const { code, errors } = await run(t, 'fiu.js', ['127.0.0.1:1']).end();
  assert.equal(code, 1);
  assert.match(errors, /^UNAVAILABLE: /);
});

const overloaded = (millis) => ({ code: grpc.status.RESOURCE_EXHAUSTED, reason: 'OVERLOADED', retryMillis: millis });

test('an overloaded service is asked again after the time that it names', async (t) => {
  const { client, calls } = await stub(t, [overloaded(200), null]);
  const before = Date.now();
  assert.deepEqual((await call(client, 'listPairings', {})).pairings, []);
  assert.equal(calls(), 2);
  assert.ok(Date.now() - before >= 195);
});

test('an overloaded service is not asked again where the user would wait too long', async (t) => {
  const { client, calls } = await stub(t, [overloaded(20_000), null]);
  await assert.rejects(call(client, 'listPairings', {}), { reason: 'OVERLOADED', retryMillis: 20_000 });
  assert.equal(calls(), 1);
});

for (const [code, reason] of [
  ['INVALID_ARGUMENT', 'UNDECIPHERABLE'],
  ['FAILED_PRECONDITION', 'DATE_EXPIRED'],
  ['RESOURCE_EXHAUSTED', 'REQUEST_TOO_LARGE'],
  ['INTERNAL', 'INTERNAL_FAULT'],
]) {
  test(`${reason} is final`, async (t) => {
    const { client, calls } = await stub(t, [{ code: grpc.status[code], reason }, null]);
    await assert.rejects(call(client, 'listPairings', {}), { reason });
    assert.equal(calls(), 1);
  });
}

/** Runs an example; `t` ends it with the test. */
function run(t, name, args) {
  const script = fileURLToPath(new URL(`../example/${name}`, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  t.after(() => child.kill());
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exit = once(child, 'close');
  return {
    say: (line) => child.stdin.write(`${line}\n`),
    line: async () => (await lines.next()).value ?? assert.fail(`${name} said nothing more: ${errors}`),
    end: async () => ({ code: (await exit)[0], errors }),
  };
}

/** A service that gives these answers in turn: a refusal, or nothing for an empty response. */
async function stub(t, answers) {
  const server = new grpc.Server();
  let calls = 0;
  const listPairings = (_, respond) => {
    const refusal = answers[calls];
    calls += 1;
    if (!refusal) return respond(null, {});
    const { code, reason, retryMillis } = refusal;
    const any = (type, message) => ({
      typeUrl: `type.googleapis.com/${type.$type}`,
      value: type.encode(type.fromPartial(message)).finish(),
    });
    const details = [any(ErrorInfo, { reason, domain: 'aa.redirect.v1' }), any(BadRequest, {})];
    if (retryMillis) {
      const retryDelay = { seconds: Math.floor(retryMillis / 1000), nanos: (retryMillis % 1000) * 1e6 };
      details.push(any(RetryInfo, { retryDelay }));
    }
    const metadata = new grpc.Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from(Status.encode(Status.fromPartial({ code, details })).finish()));
    return respond({ code, details: reason, metadata });
  };
  server.addService(RedirectService.service, { listPairings });
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const client = connect(`127.0.0.1:${port}`);
  t.after(() => {
    client.close();
    server.forceShutdown();
  });
  return { client, calls: () => calls };
}
