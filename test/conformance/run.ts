/** `npm run test:conformance -- [--kubeconfig F] [FILE…]`: what we rely on, checked against any cluster. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { repository } from '../cluster/paths.js';

const args = await yargs(hideBin(process.argv))
  .scriptName('npm run test:conformance --')
  .usage('$0 [--kubeconfig F] [FILE…]\n\nFILE narrows the choice to the files whose path contains it.')
  .locale('en')
  .version(false)
  .option('kubeconfig', {
    type: 'string',
    describe: 'The cluster to check, as its administrator. Without it: the in-memory API server.',
  })
  .strictOptions()
  .parseAsync();

function main(): number {
  const { kubeconfig } = args;
  if (kubeconfig !== undefined && !existsSync(kubeconfig)) {
    console.error(`There is no file ${kubeconfig}.`);
    return 2;
  }
  const wanted = args._.map(String);
  const files = readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test/conformance', name))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    .sort();
  if (files.length === 0) {
    console.error(`No conformance test matches ${wanted.join(' ')}.`);
    return 2;
  }
  const { status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--test', '--test-concurrency=2', '--test-reporter=spec', ...files],
    {
      cwd: repository,
      stdio: 'inherit',
      env: {
        ...process.env,
        NODE_ENV: 'test',
        ...(kubeconfig === undefined ? {} : { LPM_CONFORMANCE: resolve(kubeconfig) }),
      },
    },
  );
  return status ?? 1;
}

process.exitCode = main();
