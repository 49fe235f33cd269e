// An FIU's backend with Express: /consent sends the user to the AA, /aa/return takes the user back.
import { randomUUID } from 'node:crypto';

import { RedirectClient, RedirectError } from 'aa-redirect';
import express from 'express';

const client = new RedirectClient({
  addresses: process.env.AA_REDIRECT_ADDRESS ?? '127.0.0.1:50051',
  onDeviations: (report) => console.warn('tell the AA', JSON.stringify(report)),
});
const listen = process.env.LISTEN ?? '127.0.0.1:3000';
const returnTo = process.env.RETURN_TO ?? `http://${listen}/aa/return`; // behind a proxy: what the browser sees
const sent = new Map(); // by cookie: what was sent to the AA. In a real backend a part of the user's session
const app = express();

app.get('/consent', async (request, response) => {
  const sessionid = randomUUID();
  const sealed = await client.encodeRedirect({
    fiuId: 'fiu@sandbox',
    redirect: {
      sessionid, // no txnid: the service makes one
      userid: String(request.query.user ?? '9999988888@beta'), // in your backend: that of the user who is logged in
      redirect: returnTo,
      srcref: ['c1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59'], // the consent handle
    },
  });
  sent.set(sessionid, sealed.expected);
  response.cookie('session', sessionid, { httpOnly: true, secure: returnTo.startsWith('https:') });
  // The URL is the user's secret: not for logs.
  response.set({ Location: sealed.location, 'Cache-Control': 'no-store' }).sendStatus(303);
});

app.get('/aa/return', async (request, response) => {
  const session = /(?:^|; )session=([^;]*)/.exec(request.get('Cookie') ?? '')?.[1];
  const expected = sent.get(session);
  if (expected === undefined) return response.status(400).send('start again\n');
  const opened = await client.decodeCallback({ fiuId: 'fiu@sandbox', url: request.originalUrl, expected });
  if (opened.reopened) console.info('a reloaded page, or a replay:', opened);
  // Before you act on a consent, ask the AA for its status.
  return response.send(
    opened.accepted ? `consent given: ${opened.callback.srcref}\n` : `no consent: ${opened.errorMessage}\n`,
  );
});

// The user learns little; the log has the whole error, whose text has no payload, user id or secret.
app.use((error, request, response, next) => {
  if (!(error instanceof RedirectError)) return next(error);
  console.error(error.message);
  return response.status(400).send('that did not work: start again\n');
});

const [host, port] = listen.split(':');
app.listen(Number(port), host);
