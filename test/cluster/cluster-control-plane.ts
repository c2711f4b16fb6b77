import { join } from 'node:path';
import { alive, writeRecord, type ClusterRecord } from './cluster-record.js';
import { startDaemon } from './daemons.js';
import { gateway, nodePlans, type Layout } from './layout.js';
import { createCgroups, destroyCgroups } from './node/cgroups.js';
import { makeLabNetwork } from './node/network.js';
import { stopNode } from './node/start.js';
import type { Say } from './node-root.js';
import { endProcess } from './processes.js';

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
