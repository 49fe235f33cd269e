import { OptionDefaults } from 'typedoc';

/** @type {Partial<import('typedoc').TypeDocOptions>} */
export default {
  entryPoints: ['src/index.ts'],
  out: '../../target/clients/node',
  excludePrivate: true,
  excludeInternal: true,
  // Links in comments of the generated code, which the results inherit.
  blockTags: [...OptionDefaults.blockTags, '@generated'],
  validation: { notExported: true, invalidLink: true, notDocumented: false },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
};
