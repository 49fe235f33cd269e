// A rehearsal on free ports, and a real browser that reports every request that leaves loopback.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before } from 'node:test';

import { chromium } from 'playwright-core';

const program = process.env.AA_REDIRECT_BIN;
const FREE = ['--listen', '127.0.0.1:0', '--pages', '127.0.0.1:0'];
const browserPath = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Starts `aa-redirect rehearse`. */
export async function rehearse(...more) {
  const child = spawn(program, ['rehearse', ...(more.length > 0 ? more : FREE)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const pages = (await lines.next()).value.replace(/^pages +/, '').replace(/\/$/, '');
  const grpc = (await lines.next()).value.replace(/^gRPC +/, '');
  const stop = async () => {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  };
  return { pages, grpc, stop };
}

/** A browser without a screen. */
export function launch() {
  return chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-gpu'] });
}

export let rehearsal;
export let browser;

/** Starts `rehearsal` and `browser` before the tests of a file, then calls `more`, and ends both after the tests. */
export function together(more = async () => {}) {
  before(async () => {
    rehearsal = await rehearse();
    browser = await launch();
    // One hook for all, because Node begins all hooks of a file at once.
    await more();
  });
  after(async () => {
    await browser?.close();
    await rehearsal?.stop();
  });
}

/** A page of `browser`. `asked` gets each request that it sends, and `complaints` each error that it reports. */
export async function open(browser, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const asked = [];
  const complaints = [];
  context.on('request', (request) => asked.push(request));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { context, page, asked, complaints };
}

/** The hosts of requests that leave this machine. */
export function strangers(asked) {
  const hosts = asked.map((request) => new URL(request.url()).hostname);
  return hosts.filter((host) => !['127.0.0.1', 'localhost', '[::1]'].includes(host));
}

/** Fills in the form of the FIU desk. */
export async function fill(page, members) {
  const optional = page.getByText('Optional members').first();
  if (!(await page.locator('#fipid').isVisible())) await optional.click();
  for (const [name, value] of Object.entries(members)) {
    const field = page.locator(`[id="${name}"]`);
    if ((await field.evaluate((element) => element.tagName)) === 'SELECT') await field.selectOption(value);
    else await field.fill(value);
  }
}

/** The members that a page shows, by name; a list as an array. */
export function members(page) {
  return page.locator('table.members').first().evaluate((table) => {
    const rows = [...table.querySelectorAll('tbody tr')].map((row) => {
      const items = [...row.querySelectorAll('li .value')].map((item) => item.textContent);
      const value = row.querySelector('td .value')?.textContent ?? '';
      return [row.querySelector('th').textContent, items.length > 0 ? items : value];
    });
    return Object.fromEntries(rows);
  });
}
