import { OptionDefaults } from 'typedoc';

/** @type {Partial<import('typedoc').TypeDocOptions>} */
export default {
  entryPoints: ['src/index.ts'],
  out: '../../target/clients/node',
  excludePrivate: true,
  excludeInternal: true,
  // Of the generated code, whose comments the results inherit.
  blockTags: [...OptionDefaults.blockTags, '@generated'],
  validation: { notExported: true, invalidLink: true, notDocumented: false },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
};
