// What scripts and other sites can do with the pages: a script sends forms, another site sends only a browser.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';

import { browser, open, rehearsal, together } from '../support.mjs';

together();

/** Sends a form, as a script does. */
function post(path, fields, more = {}) {
  const body = new URLSearchParams(fields);
  return fetch(rehearsal.pages + path, { method: 'POST', body, redirect: 'manual', ...more });
}

const desk = '/fiu/fiu@sandbox';

describe('a script', () => {
  it('sends only a user id, whose handle picks the AA', async () => {
    for (const name of ['alpha', 'beta', 'gamma', 'delta']) {
      const answer = await post(desk, { userid: `accept@${name}`, then: 'go' });
      assert.match(answer.headers.get('location'), new RegExp(`/aa/${name}-aa/webview\\?`));
    }
  });

  it('is told about a fault or a requestor type that does not exist', async () => {
    for (const wrong of [{ fault: 'stael' }, { requestorType: 'AA' }, { faults: 'stale' }, { then: 'come' }]) {
      const answer = await post(desk, wrong);
      assert.equal(answer.status, 422);
      assert.match(await answer.text(), /No such (value|field)/);
    }
  });

  it('gets a page with every error', async () => {
    const cases = [
      [404, '/nothing'], [404, '/aa/nobody'], [400, '/journeys/abc'], [405, '/aa/alpha-aa/answer'],
      [413, '/inspect', { method: 'POST', body: 'text='.padEnd(1_000_000, 'x') }],
    ];
    for (const [status, path, options] of cases) {
      const answer = await fetch(rehearsal.pages + path, options);
      assert.equal(answer.status, status, path);
      assert.match(await answer.text(), /<h1>/, path);
      assert.match(answer.headers.get('content-security-policy'), /default-src 'none'/, path);
      assert.equal(answer.headers.get('cache-control'), 'no-store', path);
    }
  });

  it('opens nothing with HEAD', async () => {
    const sent = await post(desk, { then: 'go' });
    const webview = sent.headers.get('location');
    assert.equal((await fetch(webview, { method: 'HEAD' })).status, 200);
    assert.match(await (await fetch(webview)).text(), /no, opened for the first time/);
  });
});

describe('another site', () => {
  it('can open a page, and can fetch nothing', async () => {
    const webview = (await post(desk, { then: 'go' })).headers.get('location');
    const hostile = `<!doctype html><img src="${webview}"><iframe src="${webview}"></iframe><script src="${webview}"></script>
      <link rel="prefetch" href="${webview}"><object data="${webview}"></object><a href="${webview}">open</a>
      <script>fetch(${JSON.stringify(webview)}, { mode: 'no-cors' })</script>`;
    const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(hostile));
    await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
    const { page, context, asked } = await open(browser);
    const statuses = [];
    context.on('response', (answer) => answer.url() === webview && statuses.push(answer.status()));
    await page.goto(`http://localhost:${server.address().port}/`, { waitUntil: 'networkidle' });
    assert.ok(asked.filter((request) => request.url() === webview).length >= 4, 'the browser asked');
    assert.deepEqual([...new Set(statuses)], [403]);
    await page.getByRole('link', { name: 'open' }).click();
    await page.getByText('no, opened for the first time').first().waitFor();
    await context.close();
    server.close();
  });
});
