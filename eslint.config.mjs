import tseslint from 'typescript-eslint';

/**
 * plugin, controller and agent are three programs on three machines: they may meet only through proto/, the
 * custom resource types and common/. An import across is a hidden protocol, so it is an error.
 */
const restricted = (own, others, files) => ({
  ...files,
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

// Tests may use test/support; the programs themselves nothing of test/.
const apart = (own, others) => [
  restricted(own, [...others, 'test'], { files: [`${own}/**/*.ts`], ignores: ['**/*.test.ts'] }),
  restricted(own, others, { files: [`${own}/**/*.test.ts`] }),
];

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
  ...apart('plugin', ['controller', 'agent']),
  ...apart('controller', ['plugin', 'agent']),
  ...apart('agent', ['plugin', 'controller']),
  ...apart('common', ['plugin', 'controller', 'agent']),
  ...apart('proto', ['plugin', 'controller', 'agent', 'common']),
);
