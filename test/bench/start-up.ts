/**
 * How long `kubectl migrate --help` takes beside `node -e 0`, which does nothing: what is left is ours. Both in turn, so that
 * whatever else the machine does meets both.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { repository } from '../cluster/paths.js';

const ROUNDS = 21;
/** Promised: no more than this. */
export const LARGEST_RATIO = 1.5;

export interface StartUp {
  helpMilliseconds: number;
  nodeMilliseconds: number;
  ratio: number;
}

export function measureStartUp(rounds = ROUNDS): StartUp {
  const help = [join(repository, 'dist/kubectl-migrate.mjs'), '--help'];
  const times: { help: number; node: number }[] = [];
  // The first round fills the caches and is not counted.
  for (let round = 0; round <= rounds; round++) {
    const pair = { help: once(help), node: once(['-e', '0']) };
    if (round > 0) times.push(pair);
  }
  const helpMilliseconds = median(times.map((each) => each.help));
  const nodeMilliseconds = median(times.map((each) => each.node));
  return { helpMilliseconds, nodeMilliseconds, ratio: helpMilliseconds / nodeMilliseconds };
}

export function printStartUp({ helpMilliseconds, nodeMilliseconds, ratio }: StartUp): void {
  console.log(
    `kubectl migrate --help  ${helpMilliseconds.toFixed(0)} ms\nnode -e 0               ${nodeMilliseconds.toFixed(0)} ms\nratio                   ${ratio.toFixed(2)} × (${ratio < LARGEST_RATIO ? 'below' : 'NOT below'} ${LARGEST_RATIO})`,
  );
}

function once(args: string[]): number {
  const began = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with exit code ${status}.`);
  return performance.now() - began;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
