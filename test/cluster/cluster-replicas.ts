/** Our controller in the cluster: one, or several of which one leads. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { KubeClient } from '../../common/kube/client.js';
import { tlsDir } from './cluster-pki.js';
import { replicaNames, writeRecord, type ClusterRecord, type Replica } from './cluster-record.js';
import { startDaemon } from './daemons.js';
import type { Layout } from './layout.js';
import type { Say } from './node-root.js';
import { endProcess, isRunning } from './processes.js';
import { testBuild } from './test-build.js';

/** As many of them as the record says; the others are ended. One that runs is started anew only if it is another now. */
export async function startReplicas(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  const count = record.replicas ?? 1;
  writeRecord(layout, record);
  for (const [index, name] of replicaNames.entries()) {
    if (index < count) await startController(layout, record, name, say);
    else if (record.processes[name]) await endProcess(record.processes[name]);
  }
}

export async function startController(
  layout: Layout,
  record: ClusterRecord,
  name: Replica,
  say: Say,
): Promise<void> {
  const program = join(layout.bin, 'controller.mjs');
  const lab = record.processes.lab;
  if (!existsSync(program) || !lab) return;
  const argv = [process.execPath, program, '--kubeconfig', join(layout.pki, 'admin.kubeconfig')];
  argv.push('--tls-dir', tlsDir(layout, 'controller'));
  argv.push('--health-listen', `0.0.0.0:${8081 + replicaNames.indexOf(name)}`);
  argv.push(...election(record.replicas ?? 1), ...(record.controllerFlags ?? []));
  if (record.faults) {
    argv.unshift('/usr/bin/env', `LPM_FAULT_DIR=${layout.faults}`);
    argv.push(...testBuild.controller);
  }
  const version = createHash('sha256').update(readFileSync(program)).update(argv.join('\0')).digest('hex');
  const mark = join(layout.dir, `${name}.version`);
  const running = record.processes[name];
  if (running && isRunning(running)) {
    if (existsSync(mark) && readFileSync(mark, 'utf8') === version) return;
    await endProcess(running);
  }
  say(name);
  record.processes[name] = startDaemon(argv, {
    cgroup: layout.cgroup,
    log: join(layout.logs, `${name}.log`),
    netns: lab,
  });
  writeRecord(layout, record);
  writeFileSync(mark, version);
}

/** A single one that was killed would wait for the end of its own lease. Of several, nobody waits as long as by default. */
function election(count: number): string[] {
  if (count === 1) return ['--no-leader-elect'];
  return [
    ...['--leader-elect-lease-duration', '8s'],
    ...['--leader-elect-renew-deadline', '6s'],
    ...['--leader-elect-retry-period', '500ms'],
  ];
}

/** Which of them holds the lease. Undefined: none that runs, or the lease was released. */
export async function leadingReplica(
  layout: Layout,
  record: ClusterRecord,
  kube: KubeClient,
): Promise<Replica | undefined> {
  const lease = await kube.leases.find('lpm-controller', SYSTEM_NAMESPACE);
  const holder = lease?.spec?.holderIdentity;
  if (!holder) return undefined;
  return replicaNames.find((name) => {
    const found = record.processes[name];
    const log = join(layout.logs, `${name}.log`);
    // A process has its identity of its own making: it says it when it begins to lead.
    return (
      found &&
      isRunning(found) &&
      existsSync(log) &&
      readFileSync(log, 'utf8').includes(`"identity":"${holder}"`)
    );
  });
}
