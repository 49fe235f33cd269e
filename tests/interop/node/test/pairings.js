// The pairings of the tests: every profile, list syntax and date style, with secrets that no other run has.

import { randomSecret } from './service.js';

const FIU = 'fiu@interop';
const secret = () => [{ id: 'only', text: randomSecret() }];
/** Published secrets of the older scheme are passphrases, and no document says that they are ASCII. */
const passphrase = () => [{ id: 'only', text: `पासवर्ड-é-🔑-${randomSecret().slice(0, 8)}` }];

/** Two secrets: the second one is the old one, which only opens. */
export const rotated = () => [
  { id: 'new', text: randomSecret() },
  { id: 'old', text: randomSecret(), use: 'decode' },
];

/** The pairings of the keyring file by name, such as `pairings['iv-aa']`. */
export function makePairings() {
  const pairings = [
    { fiu: FIU, aa: 'iv-aa', profile: 'iv', webview: 'https://iv.example/webview', handles: ['iv'], secrets: secret() },
    { fiu: FIU, aa: 'iv-full-aa', profile: 'iv', date: 'full', lists: 'json', secrets: passphrase() },
    {
      fiu: FIU,
      aa: 'iv-tenths-aa',
      profile: 'iv',
      date: 'tenths',
      lists: 'braces',
      webview: 'https://tenths.example/webview?lang=en',
      secrets: secret(),
    },
    {
      fiu: FIU,
      aa: 'iv-rotated-aa',
      profile: 'iv',
      webview: 'https://rotated.example/webview',
      handles: ['rotated', 'rotated-too'],
      secrets: rotated(),
    },
    { fiu: FIU, aa: 'v1.0-aa', profile: 'v1.0', webview: 'https://v10.example/w', handles: ['v10'], secrets: secret() },
    { fiu: FIU, aa: 'v1.1-aa', profile: 'v1.1', lists: 'comma', secrets: secret() },
    { fiu: FIU, aa: 'v1.2-aa', profile: 'v1.2', webview: 'https://v12.example/w', secrets: passphrase() },
    { fiu: FIU, aa: 'v1.3-aa', profile: 'v1.3', lists: 'braces', secrets: secret() },
    { fiu: FIU, aa: 'v1.4-aa', profile: 'v1.4', date: 'full', lists: 'json', secrets: passphrase() },
    {
      fiu: FIU,
      aa: 'v1.5-aa',
      profile: 'v1.5',
      webview: 'https://v15.example/w?v=1.5',
      handles: ['v15'],
      secrets: secret(),
    },
    { fiu: FIU, aa: 'v1.2-rotated-aa', profile: 'v1.2', webview: 'https://old.example/w', secrets: rotated() },
    {
      fiu: FIU,
      aa: 'guarded-aa',
      profile: 'iv',
      webview: 'https://guarded.example/w',
      redirect_hosts: ['fiu.example', '*.fiu.example'],
      secrets: secret(),
    },
    // A second FIU of one AA, so that the AA's id alone does not name a pairing; and an FIU whose masked id can have a
    // `+`.
    { fiu: 'other-fiu@interop', aa: 'iv-aa', profile: 'iv', secrets: secret() },
    { fiu: 'interop-plus-fO', aa: 'plus-aa', profile: 'iv', webview: 'https://plus.example/w', secrets: secret() },
    { fiu: 'एफआईयू@interop', aa: 'एए', profile: 'v1.5', webview: 'https://deva.example/w', secrets: secret() },
  ];
  const byName = Object.fromEntries(pairings.filter(({ fiu }) => fiu !== 'other-fiu@interop').map((p) => [p.aa, p]));
  return { list: pairings, ...byName };
}

/** The defaults of the profile, which the pairing may override. */
export function conventions({ profile, date, lists }) {
  return {
    scheme: profile === 'iv' ? 'hkdf-iv' : 'pbkdf2',
    date: date ?? (profile === 'v1.5' ? 'tenths' : 'millis'),
    lists: lists ?? 'repeated',
  };
}
