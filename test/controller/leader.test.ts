/**
 * Two controllers as processes, of which one leads, on one API server in memory with two simulated nodes: the leader is
 * killed, stopped for longer than its lease, and ended cleanly.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { Lease } from '../../common/kube/types.js';
import { ControllerProcess, freePort } from './program.js';
import { eventually, gate, Rig } from './rig.js';

/** Long enough for a busy machine: a leader that cannot renew in time ends, rightly, and nobody starts it again here. */
const SHORT = ['10s', '8s', '500ms'];
const LEADS = 'This controller leads';

let rig: Rig;
let folder: string;
const running: ControllerProcess[] = [];
before(async () => {
  rig = await Rig.start();
  await rig.controller.stop();
  folder = await mkdtemp(join(tmpdir(), 'lpm-leader-'));
  const { cert, key, ca } = rig.certificates;
  await writeFile(join(folder, 'tls.crt'), cert);
  await writeFile(join(folder, 'tls.key'), key);
  await writeFile(join(folder, 'ca.crt'), ca);
  await rig.client.namespaces.create({ metadata: { name: SYSTEM_NAMESPACE } });
});
after(async () => {
  await rig.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  for (const node of [rig.worker, rig.master]) node.calls.length = 0;
});
afterEach(async () => {
  for (const one of running.splice(0)) {
    one.kill();
    await one.ended;
  }
  rig.worker.behaviour.duringDump = () => {};
});

async function start(lease: string, [duration, deadline, retry] = SHORT): Promise<ControllerProcess> {
  const program = new ControllerProcess(
    [
      `--kubeconfig=${rig.api.kubeconfig}`,
      `--tls-dir=${folder}`,
      `--agent-port=${rig.port}`,
      `--leader-elect-resource-name=${lease}`,
      `--leader-elect-lease-duration=${duration}`,
      `--leader-elect-renew-deadline=${deadline}`,
      `--leader-elect-retry-period=${retry}`,
    ],
    await freePort(),
  );
  running.push(program);
  await program.ready();
  return program;
}

/** One that leads and one that stands by. */
async function pair(lease: string, times?: string[]): Promise<[ControllerProcess, ControllerProcess]> {
  const leader = await start(lease, times);
  await leader.says(LEADS);
  const standby = await start(lease, times);
  return [leader, standby];
}

const leaseOf = (name: string): Promise<Lease> => rig.client.leases.get(name, SYSTEM_NAMESPACE);
const gauge = async (one: ControllerProcess) =>
  /^lpm_leader (\d)$/m.exec((await one.health('/metrics'))?.text ?? '')?.[1];

/** A migration whose dump lasts until `open` is called; resolves when it has begun. */
async function migrationInDump(name: string) {
  const dump = gate();
  let dumps = 0;
  rig.worker.behaviour.duringDump = () => {
    dumps += 1;
    return dump.wait;
  };
  const pod = await rig.runningPod(name);
  await rig.migrate(name, { podName: name });
  await eventually('the dump goes on', () => {
    const gone = running.find(({ child }) => child.exitCode !== null);
    assert.equal(gone?.stderr, undefined, 'a controller has ended');
    return Promise.resolve(dumps > 0 ? true : undefined);
  });
  return { uid: pod.metadata.uid!, open: dump.open, dumps: () => dumps };
}

test('the leader is killed in the middle of a migration: the other takes over and completes it', async () => {
  const [leader, standby] = await pair('killed');
  assert.equal(await gauge(leader), '1');
  assert.equal(await gauge(standby), '0');
  assert.equal((await standby.health('/healthz'))?.code, 200);

  const migration = await migrationInDump('killed');
  const before = await leaseOf('killed');
  assert.doesNotMatch(standby.stderr, /The controller works/, 'the standby has begun nothing');
  leader.kill();
  await standby.says(LEADS);
  await eventually('it joins the dump', () => Promise.resolve(migration.dumps() > 1 ? true : undefined));
  migration.open();
  const status = await rig.ended('killed', 'Succeeded');
  assert.equal(rig.worker.executes(migration.uid), false);
  assert.equal(rig.master.executes(status.restoredPodUID!), true);
  assert.deepEqual(
    rig.worker.calls.filter((call) => call !== 'discard'),
    ['checkpoint', 'checkpoint', 'endSource'],
  );

  assert.equal(await gauge(standby), '1');
  const lease = await leaseOf('killed');
  assert.notEqual(lease.spec?.holderIdentity, before.spec?.holderIdentity);
  assert.match(lease.spec?.holderIdentity ?? '', /^.+_[0-9a-f-]{36}$/);
  assert.equal(lease.spec?.leaseDurationSeconds, 10);
  assert.equal(before.spec?.leaseTransitions, 0);
  assert.equal(lease.spec?.leaseTransitions, 1);
  assert.match(lease.spec?.renewTime ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  const events = await rig.client.events.list({ namespace: SYSTEM_NAMESPACE });
  const words = events.items
    .filter(({ involvedObject }) => involvedObject.uid === lease.metadata.uid)
    .map(({ reason, message }) => `${reason}: ${message}`);
  assert.ok(words.includes(`LeaderElection: ${lease.spec?.holderIdentity} became leader`), words.join());
});

test('the leader stands still for longer than its lease: it wakes up, does nothing and exits', async () => {
  const [leader, standby] = await pair('stopped');
  const migration = await migrationInDump('stopped');
  leader.child.kill('SIGSTOP');
  await standby.says(LEADS);
  await eventually('it joins the dump', () => Promise.resolve(migration.dumps() > 1 ? true : undefined));
  // Both are answered: the one that stands still finds the answer, from which it would go on, when it wakes up.
  migration.open();
  const status = await rig.ended('stopped', 'Succeeded');
  const after = await rig.migration('stopped');
  const calls = [...rig.worker.calls, ...rig.master.calls];
  const lease = await leaseOf('stopped');
  const said = leader.stderr.length;

  leader.child.kill('SIGCONT');
  assert.equal(await leader.ended, 1);
  assert.match(
    leader.stderr.slice(said),
    /^This controller \(.*\) does not lead: .*\. Another replica acts; started again, this one stands by\.$/m,
  );
  assert.deepEqual([...rig.worker.calls, ...rig.master.calls], calls, 'no agent was asked for anything');
  assert.deepEqual(await rig.migration('stopped'), after, 'nothing was written');
  assert.equal((await leaseOf('stopped')).spec?.holderIdentity, lease.spec?.holderIdentity);
  assert.equal(rig.worker.executes(migration.uid), false);
  assert.equal(rig.master.executes(status.restoredPodUID!), true);
  assert.equal(rig.master.calls.filter((call) => call === 'restore').length, 1);
});

test('a leader that is ended cleanly lets the next one in at once', async () => {
  // With these times nobody takes over by waiting before the test has given up.
  const [leader, standby] = await pair('released', ['600s', '400s', '500ms']);
  const migration = await migrationInDump('released');
  leader.child.kill('SIGTERM');
  assert.equal(await leader.ended, 0);
  await standby.says(LEADS);
  migration.open();
  await rig.ended('released', 'Succeeded');
  assert.equal(rig.worker.executes(migration.uid), false);
});
