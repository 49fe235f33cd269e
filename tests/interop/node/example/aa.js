// An AA: opens the redirect that a browser brought, and sends the user back with the outcome.
//
//   node example/aa.js [address] [errorcode]
//
// Reads the URL from standard input and prints the URL to send the browser back to. An error code other than 0 refuses.

import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { call, connect } from './client.js';

const AA_ID = 'alpha-aa';
const [address, errorcode = '0'] = process.argv.slice(2);
const client = connect(address);
const input = createInterface({ input: process.stdin });

try {
  const [url] = await once(input, 'line');
  const request = await call(client, 'decodeRedirect', { aaId: AA_ID, url });
  // The service remembers nothing: store `txnid` until `replayUntil`, and refuse one that is there already.
  const { txnid, sessionid, userid, redirect, srcref } = request.redirect;
  if (request.deviations.length > 0) console.warn(`the FIU departs from the format: ${request.deviations.join(' ')}`);

  // Here the user logs in and decides.
  const accepted = Number(errorcode) === 0;
  const sealed = await call(client, 'encodeCallback', {
    fiuId: request.fiuId,
    aaId: AA_ID,
    callback: {
      txnid,
      sessionid,
      userid,
      status: accepted ? 'CALLBACK_STATUS_SUCCESS' : 'CALLBACK_STATUS_FAILURE',
      errorcode: Number(errorcode),
      srcref: accepted ? srcref : [],
    },
    redirectUrl: redirect,
    // An FIU that still seals with the old secret can read no other.
    secretId: request.secretId,
  });
  console.log(sealed.url);
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
} finally {
  input.close();
  client.close();
}
