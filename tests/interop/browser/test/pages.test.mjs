// Checks the pages: no hostile text runs as code, axe finds nothing serious, and they fit a small screen, light and
// dark.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import AxeBuilder from '@axe-core/playwright';

import { browser, fill, open, rehearsal, strangers, together } from '../support.mjs';

const HOSTILE = `"><img src=x onerror=alert(1)><script>alert(1)</script>'&lt;\u202e`;

together();

/** Presses Tab until `wanted` has the focus. */
async function tabTo(page, wanted) {
  await wanted.waitFor();
  for (let presses = 0; presses < 50; presses += 1) {
    if (await wanted.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`50 times Tab do not lead to ${wanted}`);
}

/** Every page after a user has filled it in. */
async function visit(page, look) {
  const go = (path) => page.goto(rehearsal.pages + path);
  await go('/');
  await look('home');
  await go('/fiu/fiu@sandbox');
  await look('FIU desk');
  await fill(page, { sessionid: HOSTILE, email: HOSTILE, extra: `note=${HOSTILE}`, srcref: '<b>one</b>\ntwo' });
  await page.getByRole('button', { name: 'Seal and show the URL' }).click();
  await look('sealed request');
  await page.getByRole('link', { name: 'Go to the AA desk' }).click();
  await look('AA desk');
  await page.getByRole('button', { name: 'BASE64_UNPADDED' }).click();
  await look('callback');
  await page.goBack();
  await page.getByRole('button', { name: 'Missing sessionid' }).click();
  await look('a callback that differs');
  await go('/journeys');
  await look('journeys');
  await page.getByRole('link', { name: /^Journey/ }).first().click();
  for (const summary of await page.locator('summary').all()) await summary.click();
  await look('journey');
  await go('/fiu/fiu@sandbox');
  await page.locator('#txnid').fill(HOSTILE);
  await page.getByRole('button', { name: 'Seal and show the URL' }).click();
  await look('FIU desk with errors');
  await go('/inspect');
  await page.getByLabel('The message').fill(`${rehearsal.pages}/x?fi=${HOSTILE}&reqdate=1&ecreq=AAAA`);
  await page.getByRole('button', { name: 'Inspect' }).click();
  await look('inspect');
  await go(`/aa/alpha-aa/webview?fi=${encodeURIComponent(HOSTILE)}&reqdate=${encodeURIComponent(HOSTILE)}&ecreq=AAAA`);
  await look('a request that does not open');
  await go('/fiu/fiu@sandbox/callback?visit=1');
  await look('a callback without parameters');
  await go('/aa/alpha-aa');
  await look('AA desk without a request');
  await go(`/${encodeURIComponent(HOSTILE)}`);
  await look('no such page');
}

describe('the pages', () => {
  it('run nothing that a sender wrote, and ask nobody else', async () => {
    const { page, context, asked, complaints } = await open(browser);
    page.on('dialog', (dialog) => assert.fail(`a dialog: ${dialog.message()}`));
    await visit(page, async (name) => {
      assert.equal(await page.locator('main img, main script').count(), 0, name);
      assert.equal((await page.locator('body').innerText()).includes('\u202e'), false, name);
    });
    assert.deepEqual(strangers(asked), []);
    assert.deepEqual(complaints.filter((line) => !/status of 4(04|22)/.test(line)), [], 'the policy stops nothing of ours');
    assert.equal((await context.cookies()).length, 0);
    await context.close();
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 768, 360]) {
      it(`are readable, ${colorScheme}, ${width} pixels wide`, async () => {
        const { page, context } = await open(browser, { colorScheme, viewport: { width, height: 800 } });
        await visit(page, async (name) => {
          const { violations } = await new AxeBuilder({ page })
            .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
            .analyze();
          const found = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0].html}`);
          assert.deepEqual(found, [], name);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
        });
        await context.close();
      });
    }
  }

  it('keep what was typed for a user who goes back to send the request with another fault', async () => {
    const { page, context } = await open(browser);
    await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
    const typed = { sessionid: 'my basket', userid: '77@beta', extra: 'note=1', isoLanguageCode: 'hi-IN' };
    await fill(page, typed);
    await page.getByRole('button', { name: 'Stale date' }).click();
    await page.waitForURL(/sent/);
    await page.goBack();
    for (const [name, value] of Object.entries(typed)) assert.equal(await page.locator(`#${name}`).inputValue(), value, name);
    await context.close();
  });

  it('can be used with only the keyboard', async () => {
    const { page, context } = await open(browser);
    await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
    await tabTo(page, page.locator('#userid'));
    await page.keyboard.press('Enter');
    await page.waitForURL(/sent/);
    await tabTo(page, page.getByRole('link', { name: 'Go to the AA desk' }));
    await page.keyboard.press('Enter');
    await tabTo(page, page.getByRole('button', { name: 'Accept all' }));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Consent given' }).first().waitFor();
    await context.close();
  });
});
