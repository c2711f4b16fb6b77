import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, type RunOptions, type RunResult } from './run.js';

/** Older ones lack what the guide uses (kubectl wait --for=create, among others). */
const oldest = [1, 30] as const;

let known: Promise<string[]> | undefined;

/**
 * The words that call kubectl: the machine's own when it is new enough, else the one in the nodes' root, run by the
 * root's own loader and libraries.
 */
export function kubectlCommand(root: string): Promise<string[]> {
  known ??= find(root);
  return known;
}

/** True when the machine has a kubectl of its own that is new enough. */
export async function machineHasKubectl(): Promise<boolean> {
  const { code, stdout } = await run('kubectl', ['version', '--client', '-o', 'json']).catch(() => ({
    code: 127,
    stdout: '',
  }));
  return code === 0 && isNewEnough(stdout);
}

/** Puts a kubectl into the folder where the machine has none of its own. Answers whether it did. */
export async function provideKubectl(root: string, folder: string): Promise<boolean> {
  const command = await kubectlCommand(root);
  if (command.length === 1) return false;
  const words = command.map((word) => `'${word}'`).join(' ');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'kubectl'), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  return true;
}

async function find(root: string): Promise<string[]> {
  if (await machineHasKubectl()) return ['kubectl'];
  const loader = ['lib64/ld-linux-x86-64.so.2', 'lib/ld-linux-aarch64.so.1']
    .map((path) => join(root, path))
    .find((path) => existsSync(path));
  if (!loader) throw new Error(`There is no kubectl on this machine, and none that runs in ${root}.`);
  const libraries = [
    'usr/lib',
    ...readdirSync(join(root, 'usr/lib'))
      .filter((n) => n.endsWith('-linux-gnu'))
      .map((n) => `usr/lib/${n}`),
  ];
  return [
    loader,
    '--library-path',
    libraries.map((path) => join(root, path)).join(':'),
    join(root, 'usr/bin/kubectl'),
  ];
}

export function isNewEnough(versionJson: string): boolean {
  try {
    const { clientVersion } = JSON.parse(versionJson) as { clientVersion: { major: string; minor: string } };
    const [major, minor] = [Number(clientVersion.major), parseInt(clientVersion.minor, 10)];
    return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
  } catch {
    return false;
  }
}

/** Runs kubectl against a kubeconfig, to its end. */
export async function kubectlWith(
  root: string,
  kubeconfig: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const [command = 'kubectl', ...first] = await kubectlCommand(root);
  return run(command, [...first, ...args], {
    ...options,
    env: { ...(options.env ?? process.env), KUBECONFIG: kubeconfig },
  });
}
