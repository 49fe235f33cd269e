// Installs the package that `npm pack` makes into another folder. Tests both module systems, TypeScript, and the
// examples, with a user who goes from the FIU to the AA and back.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { folder, serve } from './service.mjs';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const { version, devDependencies } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
const run = (cwd, program, ...args) => execFileSync(program, args, { cwd, encoding: 'utf8' });

test('the package as it is packed, and the examples copied out', async (t) => {
  const project = folder(t);
  const [packed] = JSON.parse(run(PACKAGE, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', project));
  const names = packed.files.map(({ path }) => path);
  for (const name of ['package.json', 'README.md', 'LICENSE', 'dist/index.js', 'dist/index.mjs', 'dist/index.d.ts']) {
    assert.ok(names.includes(name), `${name} is not packed`);
  }
  assert.deepEqual(
    names.filter((name) => !/^(dist\/|package\.json$|README\.md$|LICENSE$)/.test(name)),
    [],
  );
  assert.deepEqual(
    names.filter((name) => /test|\.map$|[sS]ecret/.test(name)),
    [],
  );

  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'backend', private: true }));
  const { express, typescript } = devDependencies;
  const tools = [`express@${express}`, `typescript@${typescript}`, `@types/node@${devDependencies['@types/node']}`];
  run(project, 'npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', `./${packed.filename}`, ...tools);

  await t.test('import and require give the same classes', () => {
    const script = `
      const required = require('aa-redirect');
      import('aa-redirect').then((imported) => {
        const names = Object.keys(required).filter((name) => imported[name] === required[name]);
        console.log(names.sort().join(' '), required.VERSION);
      });`;
    assert.equal(run(project, 'node', '-e', script), `NOT_COMPARED RedirectClient RedirectError VERSION ${version}\n`);
  });
  for (const [name, module] of [
    ['strict.mts', 'nodenext'],
    ['strict.cts', 'nodenext'],
    ['bundled.ts', 'preserve'],
  ]) {
    await t.test(`tsc --strict reads its types: ${name}, ${module}`, () => {
      const text = `import { RedirectClient } from 'aa-redirect';
        export const query: Promise<string> = new RedirectClient({ addresses: 'a:1' })
          .encodeRedirect({ fiuId: 'f', redirect: { userid: 'u@a', redirect: 'https://f/', srcref: ['h'] } })
          .then((sealed) => sealed.query);`;
      writeFileSync(join(project, name), text);
      run(project, 'npx', 'tsc', '--strict', '--noEmit', '--types', 'node', '--module', module, name);
    });
  }
  await t.test('the examples take a user from the FIU to the AA and back', (t) => examples(t, project));
});

async function examples(t, project) {
  const { address } = await serve(t);
  for (const name of ['fiu.mjs', 'aa.cjs']) copyFileSync(join(PACKAGE, 'examples', name), join(project, name));
  const [fiu, aa] = [await start(t, project, 'fiu.mjs', address), await start(t, project, 'aa.cjs', address)];
  const visit = (url, headers) => fetch(url, { redirect: 'manual', headers });
  const consent = await visit(`${fiu.url}/consent`);
  const webview = new URL(consent.headers.get('Location'));
  assert.equal(webview.origin + webview.pathname, 'https://beta.example/webview');
  const back = new URL((await visit(`${aa.url}/webview${webview.search}`)).headers.get('Location'));
  assert.equal(back.origin + back.pathname, `${fiu.url}/aa/return`);
  const Cookie = consent.headers.getSetCookie()[0].split(';')[0];
  const page = await visit(`${fiu.url}/aa/return${back.search}`, { Cookie });
  assert.equal(await page.text(), 'consent given: c1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59\n');
  assert.equal(fiu.said() + aa.said(), '');

  assert.equal((await visit(`${fiu.url}/aa/return${back.search}`)).status, 400);
  assert.equal((await visit(`${aa.url}/webview?fi=AAAA`)).status, 400);
  assert.match(aa.said(), /^URL_MALFORMED: /);
}

/** Runs an example until the test ends. */
async function start(t, project, name, service) {
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const listen = `127.0.0.1:${free.address().port}`;
  free.close();
  await once(free, 'close');
  const env = { ...process.env, AA_REDIRECT_ADDRESS: service, LISTEN: listen };
  const child = spawn(process.execPath, [name], { cwd: project, env });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  for (let n = 0; n < 500; n += 1) {
    if (
      await fetch(`http://${listen}/`).then(
        () => true,
        () => false,
      )
    ) {
      said = '';
      return { url: `http://${listen}`, said: () => said };
    }
    await sleep(20);
  }
  throw new Error(`${name} does not listen: ${said}`);
}
