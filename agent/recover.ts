import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LpmError } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import { knownCheckpoints, removeHalfRemoved } from './artifacts.js';
import { podCgroupOf, type FreezerCgroup } from './cgroup.js';
import { dumperAlive } from './checkpoint.js';
import type { Context } from './context.js';
import { thawAll } from './freeze.js';
import { keepDumpLogs } from './kept-logs.js';
import { findOciContainer } from './oci.js';
import { killTree, processesNaming } from './process.js';
import { readFields } from './state.js';

/**
 * A runtime that an agent before us left dumping is given this long: thawed under CRIU's hands, a process would crash. One that
 * takes longer is killed: CRIU's parasite code notices that it is gone and gives its process back as it was.
 */
const DUMPER_PATIENCE_MS = 10_000;

/**
 * Takes back what an agent that died left half done: a checkpoint without checkpoint.json counts for nobody, so its
 * containers run on. Complete checkpoints stay as they are, with their containers frozen: only the controller knows whether
 * they may run.
 */
export async function recoverCheckpoints(context: Context): Promise<void> {
  await removeHalfRemoved(context.state);
  for (const { checkpointUid, folder, complete, unfinished } of knownCheckpoints(context.state)) {
    if (complete) continue;
    const partial = context.state.partialArtifacts(checkpointUid);
    if (folder !== partial) {
      // It was complete, and only then is its description missing: nothing in it says what could be thawed.
      context.log.error('the description of a checkpoint is missing', { folder });
      continue;
    }
    FAULT: await faultPoint('agent.recover.found');
    const end = performance.now() + DUMPER_PATIENCE_MS;
    const dumpers = (): number[] => [
      ...readdirSync(partial)
        .filter((name) => name.endsWith('.dumper'))
        .map((name) => readFields(join(partial, name)))
        .filter((fields) => dumperAlive(fields))
        .map((fields) => Number(fields?.pid)),
      // The agent may have died before it noted the one that it had just started.
      ...processesNaming(`${partial}/`),
    ];
    while (dumpers().length > 0) {
      if (performance.now() > end) dumpers().forEach(killTree);
      await delay(50);
    }
    const cgroups: FreezerCgroup[] = [];
    for (const id of unfinished?.containerIds ?? []) {
      try {
        const { freezer } = findOciContainer(context.host, context.runtimeRoots, id);
        const podCgroup = podCgroupOf(freezer, unfinished?.pod.uid ?? '');
        cgroups.push(freezer, ...(podCgroup ? [podCgroup] : []));
      } catch (error) {
        // Its process is gone: there is nothing to thaw.
        if (!(error instanceof LpmError)) throw error;
      }
    }
    thawAll(cgroups);
    FAULT: await faultPoint('agent.recover.thawed');
    await keepDumpLogs(context, checkpointUid, partial);
    rmSync(partial, { recursive: true, force: true });
    context.log.warn('thawed the source of a checkpoint that an earlier agent left unfinished', {
      checkpoint_uid: checkpointUid,
      pod_uid: unfinished?.pod.uid,
    });
  }
}
