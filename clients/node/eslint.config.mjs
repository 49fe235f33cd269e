// The lints of this package: the strict rules of typescript-eslint for src, the recommended ones for the rest.

import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  globalIgnores(['dist', 'docs', 'src/gen']),
  js.configs.recommended,
  {
    files: ['src/**'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
  },
  {
    files: ['**/*.mjs', '**/*.cjs'],
    languageOptions: {
      globals: Object.fromEntries(
        ['AbortSignal', 'Buffer', 'URL', 'console', 'fetch', 'process', 'require', 'setTimeout'].map((name) => [
          name,
          'readonly',
        ]),
      ),
    },
  },
  { files: ['examples/fiu.mjs'], rules: { 'no-unused-vars': ['error', { args: 'none' }] } },
);
