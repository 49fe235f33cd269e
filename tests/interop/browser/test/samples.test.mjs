// The code that a journey shows compiles in its language, whatever the values are. A language whose compiler is missing
// is skipped.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';

import { browser, fill, open, rehearsal, together } from '../support.mjs';

const HARD = `a'b"c\\d $(x) \`y\` \${z} %s {q} \\u0041 \u202e क्ष 👩‍🌾`;
// How each language is checked: the file, the text around the code, and the command.
const CHECKS = {
  grpcurl: ['call.sh', (code) => code, (file) => ['bash', '-n', file]],
  Node: ['call.mjs', (code) => code, (file) => ['node', '--check', file]],
  Python: ['call.py', (code) => code, (file) => ['python3', '-m', 'py_compile', file]],
  Go: ['call.go', (code) => `package p\nfunc f() {\n${code}\n}`, (file) => ['gofmt', '-e', file]],
};

let folder;
const samples = [];
together(async () => {
  folder = mkdtempSync(join(tmpdir(), 'samples-'));
  const { page } = await open(browser);
  await page.goto(`${rehearsal.pages}/fiu/fiu@sandbox`);
  await fill(page, { sessionid: HARD, email: HARD, extra: `note=${HARD}\nx=`, srcref: 'one\ntwo $(x)', requestorType: 'LSP' });
  await page.getByRole('button', { name: 'Seal and go at once' }).click();
  await page.getByRole('button', { name: 'Accept all' }).click();
  await page.waitForURL(/callback/);
  await page.goto(`${rehearsal.pages}/journeys/1`);
  for (const block of await page.locator('pre').all()) {
    samples.push([await block.getAttribute('aria-label'), await block.textContent()]);
  }
});
after(() => rmSync(folder, { recursive: true }));

for (const [language, [name, around, command]] of Object.entries(CHECKS)) {
  it(`the calls in ${language} can be read`, (test) => {
    const codes = samples.filter(([label]) => label.endsWith(`: ${language}`)).map(([, code]) => code);
    assert.equal(codes.length, 4);
    for (const code of codes) {
      const file = join(folder, name);
      writeFileSync(file, around(code));
      const [program, ...rest] = command(file);
      const checked = spawnSync(program, rest, { encoding: 'utf8' });
      if (checked.error?.code === 'ENOENT') return test.skip(`${program} is missing`);
      assert.equal(checked.status, 0, `${checked.stderr}\n${code}`);
    }
  });
}
