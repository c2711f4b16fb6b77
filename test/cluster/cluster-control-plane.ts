import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tlsDir } from './cluster-pki.js';
import { alive, writeRecord, type ClusterRecord } from './cluster-record.js';
import { startDaemon } from './daemons.js';
import { gateway, nodePlans, type Layout } from './layout.js';
import { createCgroups, destroyCgroups } from './node/cgroups.js';
import { makeLabNetwork } from './node/network.js';
import { stopNode } from './node/start.js';
import type { Say } from './node-root.js';
import { endProcess, isRunning } from './processes.js';
import { testBuild } from './test-build.js';

/** The network namespace with the bridge. Without it nothing else can be running, so all is started anew. */
export async function startLab(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  if (alive(record, 'lab')) return;
  say(`network ${gateway}/24`);
  await Promise.all(nodePlans.map((plan) => stopNode(layout.node(plan.name))));
  await Promise.all(Object.values(record.processes).map((found) => endProcess(found, 1000)));
  await destroyCgroups(layout.cgroup);
  createCgroups(layout.cgroup);
  const lab = startDaemon(['unshare', '--net', 'sleep', 'infinity'], {
    cgroup: layout.cgroup,
    log: join(layout.logs, 'lab.log'),
  });
  await makeLabNetwork(record.root, lab, `${gateway}/24`);
  record.processes = { lab };
  writeRecord(layout, record);
}

export async function startController(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  const program = join(layout.bin, 'controller.mjs');
  const lab = record.processes.lab;
  if (!existsSync(program) || !lab) return;
  const argv = [process.execPath, program, '--kubeconfig', join(layout.pki, 'admin.kubeconfig')];
  argv.push('--tls-dir', tlsDir(layout, 'controller'));
  if (record.faults) {
    argv.unshift('/usr/bin/env', `LPM_FAULT_DIR=${layout.faults}`);
    argv.push(...testBuild.controller);
  }
  const version = createHash('sha256').update(readFileSync(program)).update(argv.join('\0')).digest('hex');
  const mark = join(layout.dir, 'controller.version');
  const running = record.processes.controller;
  if (running && isRunning(running)) {
    if (existsSync(mark) && readFileSync(mark, 'utf8') === version) return;
    await endProcess(running);
  }
  say('controller');
  record.processes.controller = startDaemon(argv, {
    cgroup: layout.cgroup,
    log: join(layout.logs, 'controller.log'),
    netns: lab,
  });
  writeRecord(layout, record);
  writeFileSync(mark, version);
}
