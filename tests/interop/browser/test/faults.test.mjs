// Clicks the button of each fault of each desk, and checks what the receiver shows.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { browser, open, rehearsal, together } from '../support.mjs';

// What a click shows: the reason of a refusal, or the deviation, or "Opened before".
const BROKEN = {
  'Wrong secret': 'UNDECIPHERABLE',
  'Stale date': 'DATE_EXPIRED',
  'Date ahead': 'DATE_IN_FUTURE',
  'Other scheme': 'SCHEME_MISMATCH',
  'Changed byte': 'UNDECIPHERABLE',
  'Missing txnid': 'UNDECIPHERABLE',
  'Missing userid': 'UNDECIPHERABLE',
  Reload: 'Opened before.',
};
const REPAIRED = [
  'BASE64_ALPHABET', 'BASE64_UNPADDED', 'PLUS_AS_SPACE', 'DOUBLE_ENCODED', 'WHITESPACE', 'DATE_DIGITS', 'LIST_SYNTAX',
  'EXTRA_MEMBER', 'BLANK_OPTIONAL', 'STRAY_CHARACTERS', 'NAME_CASE', 'INVALID_ESCAPE', 'REPEATED', 'HTML_ESCAPED',
  'RAW_NON_ASCII',
];
const OF_REQUESTS = {
  'Spliced message': 'TXNID_NOT_UUID',
  Replay: 'Opened before.',
  'Missing redirect': 'UNDECIPHERABLE',
  'Missing srcref': 'UNDECIPHERABLE',
  'Second ? (SECOND_QUESTION_MARK)': 'SECOND_QUESTION_MARK',
  TXNID_NOT_UUID: 'TXNID_NOT_UUID',
  REDIRECT_UNESCAPED: 'REDIRECT_UNESCAPED',
  REQUESTOR_TYPE: 'REQUESTOR_TYPE',
};
const OF_CALLBACKS = {
  'Spliced message': 'NOT_EXPECTED',
  Replay: 'NOT_EXPECTED',
  'Missing sessionid': 'NOT_EXPECTED',
  'Missing status': 'UNDECIPHERABLE',
  'Missing errorcode': 'UNDECIPHERABLE',
  'Second ? (SECOND_QUESTION_MARK)': 'SECOND_QUESTION_MARK',
  TXNID_NOT_UUID: 'NOT_EXPECTED',
  STATUS_MISMATCH: 'treat this as a failure',
};
const repaired = Object.fromEntries(REPAIRED.map((name) => [name, name]));

together();

async function shows(page, text, fault) {
  await page.waitForURL(/(callback|webview)\b/);
  // The text without the note that names the chosen fault.
  const content = await page.locator('main').evaluate((main) => {
    main.querySelectorAll('section.fault').forEach((note) => note.remove());
    return main.innerText;
  });
  assert.ok(content.includes(text), `${fault}: no ${text} in\n${content}`);
  const refused = content.includes('The service refuses it');
  if (refused) assert.ok(content.includes('Diagnosis'), `${fault}: no diagnosis`);
}

describe('a fault of the FIU desk', () => {
  for (const [fault, text] of Object.entries({ ...BROKEN, ...repaired, ...OF_REQUESTS })) {
    it(`${fault} shows ${text} at the AA`, async () => {
      const { page, context, complaints } = await open(browser);
      await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
      await page.getByRole('button', { name: fault, exact: true }).click();
      await page.getByText('Fault on purpose').first().waitFor();
      await page.getByRole('link', { name: 'Go to the AA desk' }).click();
      await shows(page, text, fault);
      assert.deepEqual(complaints.filter((line) => !line.includes('422')), []);
      await context.close();
    });
  }
});

describe('a fault of the AA desk', () => {
  for (const [fault, text] of Object.entries({ ...BROKEN, ...repaired, ...OF_CALLBACKS })) {
    it(`${fault} shows ${text} at the FIU`, async () => {
      const { page, context } = await open(browser);
      await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
      await page.getByRole('button', { name: 'Seal and go at once' }).click();
      await page.getByRole('button', { name: fault, exact: true }).click();
      await shows(page, text, fault);
      if (text === 'NOT_EXPECTED') await page.getByRole('heading', { name: 'What differs' }).first().waitFor();
      await context.close();
    });
  }

  it('Hash route shows what a server sees, and then what the page sees', async () => {
    const { page, context } = await open(browser);
    await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
    await page.getByRole('button', { name: 'Seal and go at once' }).click();
    await page.getByRole('button', { name: 'Hash route (IN_FRAGMENT)', exact: true }).click();
    await page.getByText('Fault on purpose in the callback: Hash route').waitFor();
    await shows(page, 'URL_MALFORMED', 'Hash route');
    assert.match(await page.getByLabel('The address of this page').inputValue(), /#\/return\?fi=/);
    await page.getByRole('button', { name: 'Open' }).click();
    await shows(page, 'IN_FRAGMENT', 'Hash route');
    await page.getByRole('heading', { name: 'Consent given' }).first().waitFor();
    await context.close();
  });

  it('Second ? is the answer to the request, whose visit the desk still finds', async () => {
    const { page, context } = await open(browser);
    await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
    await page.getByRole('button', { name: 'Seal and go at once' }).click();
    await page.getByRole('button', { name: 'Second ? (SECOND_QUESTION_MARK)', exact: true }).click();
    await page.getByText('yes, it is the answer to the request').first().waitFor();
    await context.close();
  });
});

describe('a request with a fault that an AA returns unchanged', () => {
  for (const fault of ['TXNID_NOT_UUID', 'Missing sessionid']) {
    it(`${fault}: the FIU desk accepts the answer, since it is the answer to what was sent`, async () => {
      const { page, context } = await open(browser);
      await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
      await page.getByRole('button', { name: fault, exact: true }).click();
      await page.getByRole('link', { name: 'Go to the AA desk' }).click();
      await page.getByRole('button', { name: 'Accept all' }).click();
      await page.getByRole('heading', { name: 'Consent given' }).first().waitFor();
      await page.getByText('yes, it is the answer to the request').first().waitFor();
      await page.getByText('Fault on purpose in the request').first().waitFor();
      await context.close();
    });
  }

  it('Hash route shows an empty AA desk, which says where the parameters are', async () => {
    const { page, context } = await open(browser);
    await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
    await page.getByRole('button', { name: 'Hash route (IN_FRAGMENT)', exact: true }).click();
    await page.getByRole('link', { name: 'Go to the AA desk' }).click();
    await page.getByText('Are the parameters behind #').first().waitFor();
    await page.getByRole('button', { name: 'Open' }).click();
    await shows(page, 'IN_FRAGMENT', 'Hash route');
    await context.close();
  });
});
