// Makes the pictures of docs/rehearsal.md: `node screenshots.mjs FOLDER`.
import { join } from 'node:path';

import { fill, launch, open, rehearse } from './support.mjs';

const folder = process.argv[2];
const rehearsal = await rehearse('--pages', '127.0.0.1:8080', '--listen', '127.0.0.1:50051');
const browser = await launch();
try {
  const { page } = await open(browser, { viewport: { width: 980, height: 860 } });
  await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
  await fill(page, {
    userid: '9999988888@alpha',
    sessionid: 'basket-42',
    srcref: '0b054f6a-a0b3-4424-a668-2b53090bad6f\nc1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59',
    isoLanguageCode: 'hi-IN',
    requestorType: 'FIU',
  });
  await page.getByRole('button', { name: 'Seal and show the URL' }).click();
  await page.screenshot({ path: join(folder, 'rehearsal-fiu.png') });
  await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
  await fill(page, { userid: '9999988888@alpha', sessionid: 'basket-42', srcref: '0b054f6a-a0b3-4424-a668-2b53090bad6f' });
  await page.getByRole('button', { name: 'BASE64_UNPADDED' }).click();
  await page.getByRole('link', { name: 'Go to the AA desk' }).click();
  await page.screenshot({ path: join(folder, 'rehearsal-aa.png') });
} finally {
  await browser.close();
  await rehearsal.stop();
}
