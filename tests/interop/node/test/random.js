// Random messages that a seed repeats: INTEROP_SEED, or one from the clock.

import { randomInt } from 'node:crypto';

export const SEED = Number(process.env.INTEROP_SEED ?? randomInt(2 ** 31));

const PIECES = [
  'a',
  'Z',
  '9',
  '-',
  '_',
  '~',
  '.',
  ' ',
  '  ',
  '&',
  '=',
  '%',
  '+',
  '#',
  '%41',
  '%',
  '&srcref=',
  'a=b&c=d',
  '+1',
  '\r\n',
  '\n',
  '\t',
  '\u0000',
  '\u001b',
  '\u007f',
  '"',
  "'",
  '\\',
  '<',
  '>',
  '|',
  '{',
  '}',
  '[',
  ']',
  ',',
  ';',
  ':',
  '@',
  '/',
  '?',
  '!',
  '*',
  '()',
  '$',
  '^',
  '`',
  'सत्र-१',
  'उपयोगकर्ता',
  'क्षत्रिय',
  '🏦',
  '🇮🇳',
  '👩‍👩‍👧',
  'é',
  'e\u0301',
  '\ufeff',
  '中',
  '\u{10ffff}',
];
/** For places that allow no blank, backslash or control character. */
const VISIBLE = PIECES.filter((piece) => !/[\s\\\u0000-\u001f\u007f\ufeff]/.test(piece));
/** For the part before the `@` of a user id. */
const NAME = VISIBLE.filter((piece) => piece !== '@');
/** For list items, which also have none of `, { } [ ] " ' &`. */
const ITEM = VISIBLE.filter((piece) => !/[,{}[\]"'&]/.test(piece));
const LANGUAGES = 'en-IN hi-IN bn-IN mr-IN te-IN ta-IN gu-IN ur-IN kn-IN or-IN ml-IN pa-IN as-IN'.split(' ');
const EXTRA_NAMES = ['account', 'chid', 'fi', 'mobile', 'Alpha', 'zeta', 'x.y-z_1', 'constructor', 'toString'];

/** Random values from the run's seed. Each `purpose` has its own sequence, which does not depend on other tests. */
export class Random {
  #state;

  constructor(purpose) {
    this.#state = SEED;
    for (const c of purpose) this.#state = Math.imul(this.#state ^ c.codePointAt(0), 0x01000193);
  }

  /** From 0 to below `bound`: mulberry32, enough to draw test data. */
  below(bound) {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  pick(values) {
    return values[this.below(values.length)];
  }

  chance(percent) {
    return this.below(100) < percent;
  }

  text(pieces, most) {
    return Array.from({ length: this.below(most + 1) }, () => this.pick(pieces)).join('');
  }

  digits(length) {
    return Array.from({ length }, () => this.below(10)).join('');
  }

  uuid() {
    const hex = () => Array.from({ length: 32 }, () => this.below(16).toString(16)).join('');
    return hex().replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-8$4-$5');
  }

  list(most) {
    // Mostly realistic consent handles, and some with all characters that an item may have. A blank comes only inside.
    const item = () => (this.chance(80) ? this.uuid() : `h${this.text([...ITEM, ' '], 6)}${this.below(10)}`);
    return Array.from({ length: 1 + this.below(most) }, item);
  }

  extra() {
    if (this.chance(70)) return {};
    const names = EXTRA_NAMES.filter(() => this.chance(30));
    return Object.fromEntries(names.map((name) => [name, this.text(PIECES, 8)]));
  }

  url() {
    const path = this.chance(50)
      ? `/${this.text(
          VISIBLE.filter((piece) => !/[?#]/.test(piece)),
          6,
        )}`
      : '';
    const wild = this.text(
      VISIBLE.filter((piece) => !piece.includes('#')),
      4,
    );
    const query = this.chance(50) ? `?lead=${this.digits(4)}&next=%2Fhome&q=${wild}&end=1` : '';
    const fragment = this.chance(25) ? `#${this.text(VISIBLE, 3)}` : '';
    return `https://fiu.example${path}${query}${fragment}`;
  }

  /** All members of `ecreq`, as the service gives them back. */
  redirect({ handle = 'aa' } = {}) {
    return {
      txnid: this.uuid(),
      sessionid: this.chance(15) ? '' : this.text(PIECES, 20),
      userid: `${this.text(NAME, 3)}${this.digits(10)}@${handle}`,
      redirect: this.url(),
      srcref: this.list(50),
      fipid: this.chance(40) ? this.list(5) : [],
      email: this.chance(40) ? `a.${this.text(PIECES, 5)}+aa@example.com` : '',
      pan: this.chance(40) ? `ABCDE${this.digits(4)}F` : '',
      dob: this.chance(40) ? `19${this.digits(2)}-0${1 + this.below(9)}-1${this.below(10)}` : '',
      isoLanguageCode: this.chance(40) ? this.pick(LANGUAGES) : '',
      extra: this.extra(),
    };
  }

  /** All members of `ecres`, as the service gives them back. */
  callback() {
    const success = this.chance(50);
    return {
      txnid: this.chance(80) ? this.uuid() : `T1${this.text([...VISIBLE, ' '], 3)}`,
      sessionid: this.chance(15) ? '' : this.text(PIECES, 20),
      userid: `${this.text(NAME, 3)}${this.digits(10)}@aa`,
      status: success ? 'CALLBACK_STATUS_SUCCESS' : 'CALLBACK_STATUS_FAILURE',
      errorcode: success ? 0 : this.pick([1, 2, 3, 4, 5, 6, 11, 16, 20, 99, 4_294_967_295]),
      srcref: success || this.chance(50) ? this.list(50) : [],
      extra: this.extra(),
    };
  }
}

/** Calls `work` on every item, `width` at a time. */
export async function inParallel(items, width, work) {
  const queue = items.entries();
  const worker = async () => {
    for (const [at, item] of queue) await work(item, at);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
