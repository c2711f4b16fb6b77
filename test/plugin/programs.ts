/** Builds the two plugins as they are shipped and calls them as a person would: through the real kubectl. */
import { spawn, type ChildProcess } from 'node:child_process';
import { access, mkdtemp, rm, symlink } from 'node:fs/promises';
import { constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const builder = new URL('../../build.mjs', import.meta.url).href;

export interface Plugins {
  /** A folder for PATH with kubectl-migrate and kubectl-checkpoint, links without an ending as krew makes them. */
  links: string;
  remove(): Promise<void>;
}

export async function buildPlugins(): Promise<Plugins> {
  const links = await mkdtemp(join(tmpdir(), 'lpm-plugins-'));
  const { bundlePlugin } = (await import(builder)) as { bundlePlugin(outdir: string): Promise<void> };
  const built = join(links, 'built');
  await bundlePlugin(built);
  // As krew links them: both to the same file.
  for (const name of ['kubectl-migrate', 'kubectl-checkpoint']) {
    await symlink(join(built, 'kubectl-migrate.mjs'), join(links, name));
  }
  return { links, remove: () => rm(links, { recursive: true }) };
}

export interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: ChildProcess;
  /** All of stdout and stderr so far. */
  text(): string;
  result: Promise<Result>;
}

export interface Surroundings {
  links: string;
  kubeconfig?: string;
  env?: NodeJS.ProcessEnv;
}

/** Starts `kubectl …` with the plugins on its PATH and nothing else of this machine's Kubernetes settings. */
export function start(args: string[], { links, kubeconfig, env = {} }: Surroundings): Running {
  const child = spawn('kubectl', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that a test can press Ctrl-C: kubectl replaces itself by the plugin, and both get it.
    detached: true,
    env: {
      PATH: `${links}${delimiter}${process.env.PATH ?? ''}`,
      HOME: '/nonexistent',
      LANG: 'C.UTF-8',
      ...(kubeconfig ? { KUBECONFIG: kubeconfig } : {}),
      ...env,
    },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return {
    child,
    text: () => stdout + stderr,
    result: new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    }),
  };
}

export function kubectl(args: string[], surroundings: Surroundings): Promise<Result> {
  return start(args, surroundings).result;
}

/** Polls until `condition` holds; fails with what was last seen otherwise. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: () => string,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Why tests that need a program are skipped, or false. */
export async function missing(program: string): Promise<string | false> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    try {
      await access(join(folder, program), constants.X_OK);
      return false;
    } catch {
      // Next folder.
    }
  }
  return `${program} is not installed`;
}
