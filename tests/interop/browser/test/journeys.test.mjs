// Whole journeys in a real browser: what it sends is what the service sealed, and it never leaves loopback.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';

import { browser, fill, members, open, rehearsal, strangers, together } from '../support.mjs';

const PAIRINGS = [
  ['fiu@sandbox', 'alpha-aa', 'iv'],
  ['fiu@sandbox', 'beta-aa', 'v1.0'],
  ['fiu@sandbox', 'gamma-aa', 'v1.2'],
  ['fiu@sandbox', 'delta-aa', 'v1.5'],
  ['lender@sandbox', 'alpha-aa', 'v1.1'],
  ['lender@sandbox', 'beta-aa', 'v1.3'],
  ['lender@sandbox', 'gamma-aa', 'v1.4'],
  ['lender@sandbox', 'delta-aa', 'iv'],
];
const HARD = '&=%+# "<b>\'; सहमति क्ष 👩‍🌾';

together();

/** Goes to the AA desk with a new request of the FIU desk. */
async function toAa(page, fiu, aa, changed = {}) {
  await page.goto(`${rehearsal.pages}/fiu/${fiu}`);
  const handle = aa.replace('-aa', '');
  await fill(page, { aa, userid: `9999988888@${handle}`, ...changed });
  await page.getByRole('button', { name: 'Seal and show the URL' }).click();
  const link = page.getByRole('link', { name: 'Go to the AA desk' });
  const sealed = await link.getAttribute('href');
  await link.click();
  return sealed;
}

describe('a journey', () => {
  for (const [fiu, aa, profile] of PAIRINGS) {
    it(`brings every member through, ${fiu} with ${aa}, profile ${profile}`, async () => {
      const { page, context, asked, complaints } = await open(browser);
      const extra = { note: HARD.replace('\n', ''), account: '12&34=5' };
      const given = {
        sessionid: HARD,
        srcref: 'handle|one\nहैंडल#2+%',
        fipid: 'FIP-1\nFIP:2/3',
        email: 'a+b%&@fiu.example',
        pan: 'ABCDE1234F',
        dob: '1990-02-28',
        isoLanguageCode: 'hi-IN',
        requestorType: 'LSP',
        extra: Object.entries(extra).map((pair) => pair.join('=')).join('\n'),
      };
      const sealed = await toAa(page, fiu, aa, given);
      assert.equal(page.url(), sealed, 'the browser shows the sealed URL');
      assert.ok(asked.some((request) => request.url() === sealed), 'and sends it');
      const arrived = await members(page);
      assert.equal(arrived.sessionid, HARD);
      assert.deepEqual(arrived.srcref, given.srcref.split('\n'));
      assert.deepEqual(arrived.fipid, given.fipid.split('\n'));
      for (const name of ['email', 'pan', 'dob', 'isoLanguageCode']) assert.equal(arrived[name], given[name], name);
      for (const [name, value] of Object.entries(extra)) assert.equal(arrived[name], value, name);
      await page.getByText('LSP', { exact: true }).first().waitFor();
      await page.getByRole('button', { name: 'Accept all' }).click();
      await page.getByRole('heading', { name: 'Consent given' }).first().waitFor();
      const back = await members(page);
      assert.equal(back.sessionid, HARD);
      assert.equal(back.txnid, arrived.txnid);
      assert.deepEqual(back.srcref, given.srcref.split('\n'));
      await page.getByText('yes, it is the answer to the request').first().waitFor();
      assert.deepEqual(strangers(asked), []);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  it('carries the largest members that fit', async () => {
    const { page, context } = await open(browser);
    const session = 'स'.repeat(2730);
    const handles = Array.from({ length: 200 }, (_, at) => `consent-${at}`);
    const sealed = await toAa(page, 'fiu@sandbox', 'alpha-aa', { sessionid: session, srcref: handles.join('\n') });
    assert.ok(sealed.length > 30_000, `${sealed.length}`);
    const arrived = await members(page);
    assert.equal(arrived.sessionid, session);
    assert.equal(arrived.srcref.length, 200);
    await page.getByRole('button', { name: 'Accept all' }).click();
    await page.getByRole('heading', { name: 'Consent given' }).first().waitFor();
    await context.close();
  });

  it('comes back to a hash route with its parameters in front of #', async () => {
    const { page, context } = await open(browser);
    await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
    const redirect = (await page.locator('#redirect').inputValue()) + '#/consents/done?tab=1';
    await toAa(page, 'fiu@sandbox', 'gamma-aa', { redirect });
    assert.equal((await members(page)).redirect, redirect);
    await page.getByRole('button', { name: 'Reject', exact: true }).click();
    await page.getByText('Error 1: Consent is rejected').first().waitFor();
    assert.ok(page.url().endsWith('#/consents/done?tab=1'), page.url());
    await context.close();
  });

  it('hands a private-use scheme to its app, byte for byte', async () => {
    const { page, context } = await open(browser);
    for (const redirect of ['com.fiu.app:/aa-callback?x=%20y', 'fiuapp://done/#here']) {
      await toAa(page, 'lender@sandbox', 'delta-aa', { redirect });
      await page.getByRole('button', { name: 'Accept all' }).click();
      const link = await page.getByRole('link', { name: 'Open the app' }).getAttribute('href');
      const [front, fragment] = redirect.split('#');
      assert.ok(link.startsWith(front + (front.includes('?') ? '&' : '?') + 'fi='), link);
      assert.equal(link.split('#')[1], fragment);
    }
    await context.close();
  });

  it('comes back to a backend of another origin, from a button and by itself', async () => {
    const arrived = [];
    const backend = createServer((request, response) => {
      arrived.push(request.url);
      response.end('back');
    });
    await new Promise((listening) => backend.listen(0, '127.0.0.1', listening));
    const redirect = `http://localhost:${backend.address().port}/return?lead=4%2B2`;
    const { page, context } = await open(browser);
    await toAa(page, 'fiu@sandbox', 'beta-aa', { redirect });
    await page.getByRole('button', { name: 'Accept all' }).click();
    await page.waitForURL(/return/);
    await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
    await fill(page, { aa: 'beta-aa', userid: 'error-6@beta', redirect });
    await page.getByRole('button', { name: 'Seal and go at once' }).click();
    await page.waitForURL(/return/);
    const returns = arrived.filter((path) => path.startsWith('/return?lead=4%2B2&fi='));
    assert.equal(returns.length, 2, JSON.stringify(arrived));
    assert.notEqual(returns[0], returns[1]);
    await context.close();
    backend.close();
  });
});

describe('a user', () => {
  it('who reloads, goes back or clicks twice does no harm', async () => {
    const { page, context } = await open(browser);
    await toAa(page, 'fiu@sandbox', 'alpha-aa');
    await page.getByText('no, opened for the first time').first().waitFor();
    await page.reload();
    await page.getByText('Opened before.').first().waitFor();
    await page.getByRole('button', { name: 'Accept all' }).dblclick();
    await page.waitForURL(/callback/);
    const first = page.url();
    await page.getByRole('heading', { name: 'Consent given' }).first().waitFor();
    await page.reload();
    await page.getByText('Opened before.').first().waitFor();
    await page.goBack();
    await page.getByText('What does the user decide?').first().waitFor();
    await page.getByRole('button', { name: 'Reject', exact: true }).click();
    await page.waitForURL((url) => url.pathname.endsWith('callback') && url.href !== first);
    await page.getByText('Error 1').first().waitFor();
    await context.close();
  });

  it('is answered as it is shown, also if two tabs have the same txnid', async () => {
    const { page, context } = await open(browser);
    const other = await context.newPage();
    const txnid = '6ab1b7a0-3a3f-4c43-9d0c-1f1f5a0d7b11';
    await toAa(page, 'fiu@sandbox', 'alpha-aa', { txnid, sessionid: 'ONE' });
    await toAa(other, 'fiu@sandbox', 'alpha-aa', { txnid, sessionid: 'TWO' });
    for (const [tab, sessionid] of [[page, 'ONE'], [other, 'TWO']]) {
      await tab.getByRole('button', { name: 'Accept all' }).click();
      assert.equal((await members(tab)).sessionid, sessionid);
      await tab.getByText('yes, it is the answer to the request').first().waitFor();
    }
    await context.close();
  });

  it('says that a request was answered before', async () => {
    const { page, context } = await open(browser);
    await toAa(page, 'fiu@sandbox', 'alpha-aa');
    await page.getByRole('button', { name: 'Accept all' }).click();
    await page.getByRole('heading', { name: 'Consent given' }).first().waitFor();
    await page.goBack();
    await page.getByRole('button', { name: 'Reject', exact: true }).click();
    await page.getByText('Answered before.').first().waitFor();
    await context.close();
  });

  it('leads to an app from a form without a complaint of the policy', async () => {
    const { page, context, complaints } = await open(browser);
    await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
    await fill(page, { userid: 'accept@alpha', redirect: 'com.fiu.app:/back?visit=1' });
    await page.getByRole('button', { name: 'Seal and go at once' }).click({ noWaitAfter: true });
    await page.waitForTimeout(500);
    assert.deepEqual(complaints.filter((line) => line.includes('form-action')), []);
    await context.close();
  });

  it('chooses some of the consent handles, or any error code', async () => {
    const { page, context } = await open(browser);
    await toAa(page, 'fiu@sandbox', 'alpha-aa', { srcref: 'one\ntwo\nthree' });
    await page.getByLabel('one').uncheck();
    await page.getByLabel('three').check();
    await page.getByRole('button', { name: 'Accept the chosen ones' }).click();
    assert.equal((await members(page)).srcref.toString(), 'three');
    await toAa(page, 'fiu@sandbox', 'alpha-aa');
    await page.getByRole('button', { name: '15. Account link OTP' }).click();
    await page.getByText('Error 15').first().waitFor();
    await toAa(page, 'fiu@sandbox', 'alpha-aa');
    await page.getByLabel('Another code').fill('4711');
    await page.getByLabel('Another code').press('Enter');
    await page.getByText('Unlisted error code 4711').first().waitFor();
    await context.close();
  });

  it('needs no script', async () => {
    const { page, context } = await open(browser, { javaScriptEnabled: false });
    await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
    await page.getByRole('button', { name: 'Seal and show the URL' }).click();
    await page.getByRole('link', { name: 'Go to the AA desk' }).click();
    await page.getByRole('button', { name: 'Accept all' }).click();
    await page.getByRole('heading', { name: 'Consent given' }).first().waitFor();
    await context.close();
  });
});
