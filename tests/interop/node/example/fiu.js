// An FIU: sends its user to an AA and reads what the AA answers.
//
//   node example/fiu.js [address] [userid]
//
// Prints the URL to send the browser to, then reads the URL that the browser came back with from standard input. (Not from
// the command line, which every process of the machine can see.)

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { call, connect } from './client.js';

const FIU_ID = 'fiu@sandbox';
const [address, userid = '9999988888@alpha'] = process.argv.slice(2);
const client = connect(address);
const input = createInterface({ input: process.stdin });

try {
  // What ties the answer to this user: put it into the user's session, next to the txnid.
  const sessionid = randomUUID();
  const sealed = await call(client, 'encodeRedirect', {
    fiuId: FIU_ID,
    // No aaId: the handle of the user id picks the AA.
    redirect: {
      sessionid,
      userid,
      redirect: 'https://fiu.example/consent/done?lead=42',
      srcref: ['0b054f6a-a0b3-4424-a668-2b53090bad6f'],
    },
    requestorType: 'REQUESTOR_TYPE_FIU',
  });
  console.log(sealed.url); // HTTP/1.1 302 Found, Location: <url>, Cache-Control: no-store

  const [url] = await once(input, 'line');
  const { callback, errorMessage, deviations } = await call(client, 'decodeCallback', { fiuId: FIU_ID, url });
  // Nothing authenticates a callback but the secret, and a URL can be sent twice: it counts once, for the txnid and the
  // session that began it, until `replayUntil`.
  if (callback.txnid !== sealed.txnid || callback.sessionid !== sessionid) {
    throw new Error('this callback answers another request');
  }
  if (deviations.length > 0) console.warn(`the AA departs from the format: ${deviations.join(' ')}`);
  console.log(
    callback.status === 'CALLBACK_STATUS_SUCCESS' ? `accepted: ${callback.srcref}` : `refused: ${errorMessage}`,
  );
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
} finally {
  input.close();
  client.close();
}
