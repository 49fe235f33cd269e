// An AA's backend: /webview takes the user that an FIU sent, and sends the user back with the outcome.
const { createServer } = require('node:http');

const { RedirectClient } = require('aa-redirect');

const client = new RedirectClient({
  addresses: process.env.AA_REDIRECT_ADDRESS ?? '127.0.0.1:50051',
  onDeviations: (report) => console.warn('tell the FIU', JSON.stringify(report)),
});

async function webview(url) {
  const request = await client.decodeRedirect({ aaId: process.env.AA_ID ?? 'beta-aa', url });
  if (request.reopened) console.info('a reloaded page, or a replay:', request);
  // Here the user logs in as `request.redirect.userid` and decides about its `srcref`. This user accepts. For a user
  // who rejects, use answerRedirect(request, { errorcode: 1 }).
  const back = await client.answerRedirect(request);
  return back.location; // the URL is the user's secret: not for logs
}

const server = createServer((request, response) => {
  webview(request.url).then(
    (location) => response.writeHead(303, { Location: location, 'Cache-Control': 'no-store' }).end(),
    (error) => {
      console.error(error.message);
      response.writeHead(400).end('that did not work: go back to where you came from and start again\n');
    },
  );
});

const [host, port] = (process.env.LISTEN ?? '127.0.0.1:8081').split(':');
server.listen(Number(port), host);
