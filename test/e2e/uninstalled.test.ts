/**
 * The project is taken away although restored pods still run, and checkpoints are kept: what runs goes on running, what stays is
 * named, and later calls take the rest or go on with what was kept. On demand: `npm test -- uninstalled`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { Cluster } from '../cluster/cluster.js';
import { countProblem } from '../support/counts.js';
import { until } from '../support/until.js';
import { skippedUnlessInstalled, startTestbed, type Testbed } from './testbed.js';

describe('the project is taken away', { skip: skippedUnlessInstalled }, () => {
  let it: Testbed;
  let cluster: Cluster;
  before(async () => {
    it = await startTestbed();
    cluster = it.local();
  });
  after(() => it?.end());

  const uninstall = (...flags: string[]) => it.kubectl('migrate', 'uninstall', '--yes', ...flags);
  const taken = async (...flags: string[]): Promise<string> => {
    const { code, stdout, stderr } = await uninstall(...flags);
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    return `${stdout}\n${stderr}`;
  };
  const countsOn = async (pod: string): Promise<void> => {
    const seen = (await it.countsInFile(pod)).length;
    await until(`${pod} counts on`, async () => (await it.countsInFile(pod)).length > seen + 3);
    assert.equal(countProblem(await it.countsInFile(pod)), undefined, 'the file');
  };
  const containerOf = (pod: string): Promise<string> =>
    it.must(
      ...['get', 'pod', pod, '-o'],
      'jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}',
    );
  /** What of ours lies on a node, and what its runtime knows. */
  const onNode = async (name: string): Promise<string> => {
    const look = `find /opt/lpm /var/lib/lpm /etc/containerd -name '*lpm*' -o -path '/opt/lpm/*' -type f 2>/dev/null
      ls /var/lib/lpm 2>/dev/null; containerd config dump | grep -o 'runtimes.lpm'`;
    return (await cluster.node(name).exec(['sh', '-c', look])).stdout;
  };
  const kinds = async (): Promise<string> =>
    (await it.kubectl('api-resources', '--api-group=lpm.my.domain', '-o', 'name')).stdout;

  test('--force leaves restored pods running and says what stays; when they are gone, a later call takes that', async () => {
    await it.startCounter('kept', it.source);
    await it.must('migrate', 'kept', '--to', it.target);
    const refused = await uninstall();
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /A restored pod still needs the runtime handler: \S+\/kept-restored\./);
    const container = await containerOf('kept-restored');

    const said = await taken('--force');
    assert.match(said, new RegExp(`^${it.target}: containerd does not know the handler any more`, 'm'));
    assert.match(said, /Left in place: \/opt\/lpm\/bin\/lpm-runtime/);
    assert.match(said.replace(/\s+/g, ' '), new RegExp(`What ends restored pods stays on ${it.target}, `));
    assert.equal(await containerOf('kept-restored'), container, 'the very same container');
    const seen = (await it.countsInLog('kept-restored')).length;
    await until('it counts on', async () => (await it.countsInLog('kept-restored')).length > seen + 3);
    assert.equal(countProblem(await it.countsInLog('kept-restored')), undefined);
    // The runtime looks up the handler for each exec.
    assert.match((await it.kubectl('exec', 'kept-restored', '--', 'true')).stderr, /runtime/);
    assert.equal(await kinds(), '');
    assert.equal((await onNode(it.source)).trim(), '', 'the other node is as before');
    assert.match(await onNode(it.target), /\/opt\/lpm\/bin\/lpm-runtime/);
    assert.doesNotMatch(await onNode(it.target), /runtimes\.lpm|99-lpm/);

    // As long as it runs, nothing more is taken.
    const again = await uninstall();
    assert.equal(again.code, 1);
    await it.must('delete', 'pod', 'kept-restored', '--grace-period=1', '--timeout=60s');
    const rest = await taken();
    assert.match(rest, /^Live pod migration is taken away from this cluster\.$/m);
    assert.equal((await onNode(it.target)).trim(), '');
    assert.notEqual((await it.kubectl('get', 'namespace', SYSTEM_NAMESPACE)).code, 0);
    assert.match(await taken(), /There is nothing of live pod migration in this cluster\./);
  });

  test('--keep-checkpoints leaves checkpoints with their archives, and the next installation brings them back', async () => {
    const installed = async (): Promise<void> => {
      const { code, stdout, stderr } = await it.kubectl('migrate', 'install', '--timeout', '3m');
      assert.equal(code, 0, `${stdout}\n${stderr}`);
    };
    await installed();
    await it.startCounter('saved', it.source);
    await it.must('checkpoint', 'pod', 'saved', '--name', 'saved-1');
    const said = await taken('--keep-checkpoints');
    assert.match(said, /1 checkpoint stay, and the archives\./);
    assert.match(await kinds(), /podcheckpoints/);
    assert.doesNotMatch(await kinds(), /podmigrations/);
    assert.match(await it.must('get', 'podcheckpoint', 'saved-1', '-o', 'name'), /saved-1/);
    assert.notEqual((await it.kubectl('get', 'namespace', SYSTEM_NAMESPACE)).code, 0);
    assert.doesNotMatch(await onNode(it.source), /lpm-runtime|runtimes\.lpm|99-lpm/);
    await countsOn('saved');

    await installed();
    await it.must('delete', 'pod', 'saved', '--grace-period=1');
    await it.must('checkpoint', 'restore', 'saved-1', '--to', it.source);
    await countsOn('saved-restored');
    await it.must('delete', 'pod', 'saved-restored', '--grace-period=1', '--timeout=60s');
    await taken();
    assert.equal(await kinds(), '');
    const archives = 'ls /var/lib/kubelet/checkpoints /mnt/checkpoints 2>/dev/null | grep saved';
    for (const node of cluster.nodes) {
      assert.equal((await onNode(node.name)).trim(), '');
      assert.equal((await node.exec(['sh', '-c', archives])).stdout, '', 'no archive is left');
    }
  });
});
