// No value of the package prints a member, a URL or a token, in whatever way a program prints it.

import assert from 'node:assert/strict';
import { inspect, format } from 'node:util';
import { test } from 'node:test';

import { AA, answer, connect, FIU, record, REDIRECT, serve, USER } from './service.mjs';

/** Every text that a program might print of a value. */
function printed(value) {
  return [
    String(value),
    `${value}`,
    JSON.stringify(value),
    JSON.stringify({ inside: [value] }),
    inspect(value),
    inspect({ inside: [value] }, { depth: 10, showHidden: true, getters: true, customInspect: true }),
    inspect(value, { depth: 10, showHidden: true, customInspect: false }),
    inspect({ ...value }, { depth: 10, showHidden: true, getters: true }),
    format('%s %o %O %j', value, value, value, value),
    JSON.stringify(Object.getOwnPropertyDescriptors(value)),
  ].join('\n');
}

test('results, errors and the client print without what passes through', async (t) => {
  const { address } = await serve(t);
  const client = connect(t, { addresses: address, token: 'SECRET-TOKEN' });
  const sealed = await client.encodeRedirect({
    fiuId: FIU,
    redirect: { ...REDIRECT, extra: { chid: 'SECRET-EXTRA' } },
  });
  const opened = await client.decodeRedirect({ aaId: AA, url: sealed.location });
  const back = await answer(client, sealed);
  const outcome = await client.decodeCallback({ fiuId: FIU, url: back.location, expected: record(sealed) });
  const errors = await Promise.all([
    client
      .encodeRedirect({ fiuId: FIU, redirect: { ...REDIRECT, userid: 'SECRET', pan: 'SECRET' } })
      .catch((error) => error),
    client.decodeRedirect({ url: 'https://SECRET/?fi=SECRET' }).catch((error) => error),
    client.decodeCallback({ url: 'SECRET', expected: { txnid: 'SECRET', userid: 'SECRET' } }).catch((error) => error),
  ]);
  const privates = [
    ...['SECRET', USER, '9876501234', sealed.txnid, 'basket', 'lead=42', 'ecreq=', 'ecres=', REDIRECT.srcref[0]],
    ...[sealed.params.ecreq, back.params.ecres],
  ];
  for (const value of [client, sealed, opened, opened.redirect, back, outcome, outcome.callback, ...errors]) {
    const text = printed(value);
    for (const secret of privates)
      assert.ok(!text.includes(secret), `${value.constructor.name} shows ${secret}:\n${text}`);
  }
  const { expected } = sealed;
  assert.equal(format('%o %O', expected, { expected }).split(USER).length, 1);
  assert.deepEqual(JSON.parse(JSON.stringify(expected)), { txnid: sealed.txnid, sessionid: 'basket-42', userid: USER });
  assert.equal(inspect(outcome), 'OpenedCallback(fiuId=fiu@sandbox aaId=alpha-aa secretId=2026-11 reopened=false)');
  assert.equal(
    JSON.stringify(outcome),
    '{"fiuId":"fiu@sandbox","aaId":"alpha-aa","secretId":"2026-11","reopened":false}',
  );
});
