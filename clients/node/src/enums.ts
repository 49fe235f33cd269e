// The enums of the proto as strings: names without prefix, so that they read well in code and in logs.

/** The names of a generated enum. @internal */
export type Names<E> = Exclude<keyof E & string, 'UNSPECIFIED'>;

/** Who asks for the data. */
export type RequestorType = 'FIU' | 'LSP';
/** The member `status` of a callback: SUCCESS, the user accepted; FAILURE, the error code says why not. */
export type CallbackStatus = 'SUCCESS' | 'FAILURE';
/** How a pairing derives its keys. */
export type Scheme = 'HKDF_IV' | 'PBKDF2';
/** What a secret is used for: PRIMARY seals and opens; DECODE_ONLY opens, and seals a callback that names it. */
export type SecretState = 'PRIMARY' | 'DECODE_ONLY';
/** What happens to a message that was opened before. */
export type Reopen = 'REPORT' | 'REFUSE';
/** Whether messages of a pairing carry a tag. */
export type Authentication = 'OFF' | 'WRITE' | 'REQUIRE';
/** Something that a sender did differently from the format, and that the service repaired. Tell the sender. */
export type Deviation =
  | 'BASE64_ALPHABET'
  | 'BASE64_UNPADDED'
  | 'PLUS_AS_SPACE'
  | 'DOUBLE_ENCODED'
  | 'WHITESPACE'
  | 'DATE_DIGITS'
  | 'SECOND_QUESTION_MARK'
  | 'LIST_SYNTAX'
  | 'REDIRECT_UNESCAPED'
  | 'TXNID_NOT_UUID'
  | 'EXTRA_MEMBER'
  | 'BLANK_OPTIONAL'
  | 'STATUS_MISMATCH'
  | 'STRAY_CHARACTERS'
  | 'NAME_CASE'
  | 'INVALID_ESCAPE'
  | 'REPEATED'
  | 'HTML_ESCAPED'
  | 'IN_FRAGMENT'
  | 'REQUESTOR_TYPE'
  | 'DATE_ZERO_LOST'
  | 'RAW_NON_ASCII';
/** A value of an enum that a server newer than this package gives. */
export type Unknown = `UNKNOWN_${number}`;

/** @internal */
export type EnumObject = Record<number, string>;

/** The name of a value: undefined for UNSPECIFIED, `UNKNOWN_n` for one that this package does not know. @internal */
export function nameOf<E extends object>(numbers: E, value: number): Names<E> | Unknown | undefined {
  if (value === 0) return undefined;
  const name = (numbers as EnumObject)[value] as Names<E> | undefined;
  return name ?? (`UNKNOWN_${String(value)}` as Unknown);
}

/** The number of a name; 0 for undefined. Throws a TypeError for a name that is not of the enum. @internal */
export function numberOf<E extends object>(numbers: E, name: string | undefined, field: string): E[keyof E] {
  if (name === undefined) return 0 as E[keyof E];
  const value: unknown = Object.hasOwn(numbers, name) ? (numbers as Record<string, unknown>)[name] : undefined;
  if (typeof value !== 'number' || value === 0) throw new TypeError(`${field} has a value that it cannot have`);
  return value as E[keyof E];
}
