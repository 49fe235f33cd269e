// The code that a journey shows parses in its language, whatever the values are.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { browser, fill, open, rehearsal, together } from '../support.mjs';

const HARD = `a'b"c\\d $(x) \`y\` \${z} %s {q} \\u0041 \u202e क्ष 👩‍🌾`;
const PARSER = fileURLToPath(new URL('../ParseJava.java', import.meta.url));
// How each language is checked: the file, the text around the code, and the command.
const CHECKS = {
  grpcurl: ['call.sh', (code) => code, (file) => ['bash', '-n', file]],
  Java: ['Call.java', (code) => `class Call {\nvoid call() {\n${code}\n}\n}`, (file) => ['java', PARSER, file]],
  Node: ['call.mjs', (code) => code, (file) => ['node', '--check', file]],
  Python: ['call.py', (code) => code, (file) => ['python3', '-m', 'py_compile', file]],
  Go: ['call.go', (code) => `package p\nfunc f() {\n${code}\n}`, (file) => ['gofmt', '-e', file]],
};

/** A field of a protobuf message, from text, bytes or an integer. */
function field(number, value) {
  if (typeof value === 'number') return Buffer.from([number << 3, value]);
  const bytes = Buffer.from(value);
  assert.ok(bytes.length < 128 * 128);
  return Buffer.concat([Buffer.from([(number << 3) | 2, (bytes.length & 127) | 128, bytes.length >> 7]), bytes]);
}

/** Calls the service as a backend does. Whatever it answers, the call is a step of a journey. */
async function call(method, ...fields) {
  const message = Buffer.concat(fields);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const session = connect(`http://${rehearsal.grpc}`);
  const path = `/aa.redirect.v1.RedirectService/${method}`;
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
  stream.end(Buffer.concat([head, message]));
  stream.resume();
  await once(stream, 'close');
  session.close();
}

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
  const params = [1, 2, 3, 4].map((number) => field(number, HARD));
  const time = field(5, Buffer.concat([field(1, 127), field(2, 5)]));
  await call('EncodeRedirect', field(1, HARD), field(3, field(1, HARD)), time);
  await call('EncodeCallback', field(1, HARD), field(2, HARD), field(3, field(1, HARD)), field(4, HARD), time);
  await call('DecodeRedirect', field(1, HARD), field(3, Buffer.concat([...params, field(5, HARD)])), field(4, HARD));
  await call('DecodeCallback', field(1, HARD), field(3, Buffer.concat(params)), field(4, field(1, HARD)), field(5, HARD));
  await page.goto(`${rehearsal.pages}/journeys`);
  const journeys = await page.getByRole('link', { name: /^Journey/ }).evaluateAll((links) => links.map(({ href }) => href));
  for (const journey of new Set(journeys)) {
    await page.goto(journey);
    for (const block of await page.locator('pre').all()) {
      samples.push([await block.getAttribute('aria-label'), await block.textContent()]);
    }
  }
});
after(() => rmSync(folder, { recursive: true }));

for (const [language, [name, around, command]] of Object.entries(CHECKS)) {
  it(`the calls in ${language} can be read`, () => {
    const codes = samples.filter(([label]) => label.endsWith(`: ${language}`)).map(([, code]) => code);
    assert.equal(codes.length, 8);
    for (const code of codes) {
      const file = join(folder, name);
      writeFileSync(file, around(code));
      const [program, ...rest] = command(file);
      const checked = spawnSync(program, rest, { encoding: 'utf8' });
      assert.equal(checked.error, undefined, `${program} does not run`);
      assert.equal(checked.status, 0, `${checked.stderr}\n${code}`);
    }
  });
}
