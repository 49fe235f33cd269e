// Checks the codec of this folder with every published vector. The other tests rely on it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { decrypt, deriveKey, encrypt, mask } from '../codec.js';

const vectors = JSON.parse(readFileSync(new URL('../../../vectors/vectors.json', import.meta.url), 'utf8'));
const SCHEMES = { 'hkdf-random-iv': 'hkdf-iv', 'pbkdf2-zero-iv': 'pbkdf2' };

for (const vector of vectors) {
  test(`vector ${vector.name} (${vector.profile})`, async () => {
    const { profile, secret, date, fi_plain: id, fi_encoded: fi, iv_b64: iv, plaintext } = vector;
    assert.equal(mask(id, date).toString('base64'), fi);
    assert.equal(mask(Buffer.from(fi, 'base64'), date).toString(), id);
    if (secret === null) return; // A real sender's `fi`; its secret is not known here.
    const key = await deriveKey(SCHEMES[profile], secret, date);
    const ivBytes = iv ? Buffer.from(iv, 'base64') : Buffer.alloc(16);
    const ciphertext = Buffer.from(vector.ciphertext_b64url_padded, 'base64url');
    assert.deepEqual(encrypt(key, ivBytes, plaintext), ciphertext);
    assert.equal(decrypt(key, ivBytes, ciphertext).toString(), plaintext);
  });
}

test('there are vectors of both schemes and of real senders', () => {
  assert.deepEqual(new Set(vectors.map(({ profile }) => SCHEMES[profile])), new Set(['hkdf-iv', 'pbkdf2']));
  assert.ok(vectors.some(({ secret }) => secret === null));
});
