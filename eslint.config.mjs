import tseslint from 'typescript-eslint';

/**
 * plugin, controller and agent are three programs on three machines: they may meet only through proto/, the
 * custom resource types and common/. An import across is a hidden protocol, so it is an error.
 */
const apart = (own, others) => ({
  files: [`${own}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            regex: `^(\\.\\./)+(${others.join('|')})(/|$)`,
            message: `${own}/ must not import from ${others.join(', ')}: meet in proto/ or common/.`,
          },
        ],
      },
    ],
  },
});

export default tseslint.config(
  { ignores: ['dist', '.cache', '.cluster', 'proto/gen', 'node_modules'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // node:test runs what test() and its kin return.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite'] },
          ],
        },
      ],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-explicit-any': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  apart('plugin', ['controller', 'agent', 'test']),
  apart('controller', ['plugin', 'agent', 'test']),
  apart('agent', ['plugin', 'controller', 'test']),
  apart('common', ['plugin', 'controller', 'agent', 'test']),
  apart('proto', ['plugin', 'controller', 'agent', 'test', 'common']),
);
