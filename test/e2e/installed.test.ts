/** The project as a cluster has it: from the images and the manifests, agents as privileged pods and the controller as a Deployment. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { SYSTEM_NAMESPACE, TRANSFER_PORT } from '../../common/api/names.js';
import { installProject, uninstallProject } from '../cluster/cluster-installed.js';
import type { Cluster } from '../cluster/cluster.js';
import { run } from '../cluster/run.js';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { skippedUnlessInstalled, startTestbed, type Testbed } from './testbed.js';

interface AgentPod {
  metadata: { name: string; uid: string; deletionTimestamp?: string };
  spec: { nodeName: string };
  status: { conditions?: { type: string; status: string }[] };
}
interface Migration {
  status?: { phase?: string; restoredPodName?: string };
}

const section = (number: number): string => {
  const text = readFileSync(join(import.meta.dirname, `guide-section-${number}.md`), 'utf8');
  return /```bash\n([^]*?)```/.exec(text)![1]!;
};

describe('the project, installed with its manifests and images', { skip: skippedUnlessInstalled }, () => {
  let it: Testbed;
  let cluster: Cluster;
  before(async () => {
    it = await startTestbed();
    cluster = it.local();
  });
  after(() => it?.end());

  const agents = async (): Promise<AgentPod[]> => {
    const list = await it.must(
      'get',
      'pods',
      '-n',
      SYSTEM_NAMESPACE,
      '-l',
      'app=checkpoint-agent',
      '-o',
      'json',
    );
    return (JSON.parse(list) as { items: AgentPod[] }).items;
  };
  const bash = async (script: string): Promise<string> => {
    const { code, stdout, stderr } = await run('bash', ['-c', script], { env: it.env });
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    assert.equal(stderr.replace(/^Found 2 pods, using .*\n/gm, ''), '', 'no command complained');
    return stdout;
  };
  const countsOn = async (pod: string): Promise<void> => {
    const seen = (await it.countsInFile(pod)).length;
    await until(`${pod} counts on`, async () => (await it.countsInFile(pod)).length > seen + 3);
    assert.equal(countProblem(await it.countsInFile(pod)), undefined, 'the file');
    assert.equal(countProblem(await it.countsInLog(pod)), undefined, 'the log');
  };

  test('migrates a pod', async () => {
    await it.startCounter('counter', it.source);
    const { code, stdout, stderr } = await it.kubectl('migrate', 'counter', '--to', it.target);
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    await countsOn('counter-restored');
  });

  test('the guide’s section 8 sees the repository of each node’s agent', async () => {
    const said = await bash(section(8));
    for (const { name } of cluster.nodes)
      assert.match(said, new RegExp(`^=== Node: ${name} ===\ntotal `, 'm'));
    assert.doesNotMatch(said, /No agent/);
  });

  test('the guide’s section 9 finds the agents’ and the controller’s logs', async () => {
    const said = await bash(section(9));
    assert.equal(
      said.match(/^lpm-live-pod-migration-controller-checkpoint-agent-\S+ +1\/1 +Running/gm)?.length,
      2,
    );
    assert.match(said, /^\{.*"message":"serving"/m);
    // kubectl chooses one of the two replicas; the one that stands by has less to tell.
    assert.match(said, /^\{.*"message":"(Phase Succeeded|Controller \S+ follows )/m);
    assert.match(said.trim().split('\n').at(-1) ?? '', /checkpoint/i);
  });

  test('the kubelet knows an agent by its ServiceAccount’s token, and is known by its own certificate', async () => {
    await it.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'saved' },
      spec: {
        nodeName: it.source,
        terminationGracePeriodSeconds: 1,
        containers: [{ name: 'main', image: 'busybox:1.35', command: ['sleep', '1000000'] }],
      },
    });
    await it.must('wait', '--for=condition=Ready', 'pod/saved', '--timeout=60s');
    // The certificates that agents would try next are away meanwhile.
    const others = ['/etc/kubernetes', '/var/lib/kubelet/pki/kubelet-client-current.pem'];
    const move = async (from: string, to: string): Promise<void> => {
      for (const path of others) {
        const moved = await cluster.node(it.source).exec(['mv', path + from, path + to]);
        assert.equal(moved.code, 0, moved.stderr);
      }
    };
    await move('', '.away');
    await it.apply({
      apiVersion: 'lpm.my.domain/v1',
      kind: 'ContainerCheckpoint',
      metadata: { name: 'saved' },
      spec: { podName: 'saved', containerName: 'main', via: 'Kubelet' },
    });
    await it.must('wait', '--for=condition=Complete', 'containercheckpoint/saved', '--timeout=120s');
    await move('.away', '');
    const name = await it.must(
      'get',
      'containercheckpoint',
      'saved',
      '-o',
      'jsonpath={.status.boundContentName}',
    );
    const content = JSON.parse(await it.must('get', 'containercheckpointcontent', name, '-o', 'json')) as {
      spec: { artifactURI: string; via: string; restorable?: boolean; gaps?: string[] };
    };
    assert.match(content.spec.artifactURI, /-main-[0-9TZ:-]+\.tar$/);
    assert.equal(content.spec.via, 'Kubelet');
    assert.ok(!content.spec.restorable);
    assert.match(content.spec.gaps?.join(' ') ?? '', /\/dev\/shm/);
    await it.must('delete', 'containercheckpoint', 'saved');
    await it.must('delete', 'pod', 'saved');
  });

  test('a checkpoint is carried in a file to another namespace and goes on there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lpm-export-'));
    try {
      await it.startCounter('carried', it.source);
      await until('it counts', async () => (await it.countsInFile('carried')).length > 3);
      await it.must('checkpoint', 'pod', 'carried', '--name', 'carried-1');
      const file = join(folder, 'carried.tar');
      await it.must('checkpoint', 'export', 'carried-1', '-f', file);
      const whole = await readFile(file);

      // What is cut off or altered is refused with the reason, and nothing is left of it.
      await writeFile(file, whole.subarray(0, whole.length / 2));
      const cut = await it.kubectl('checkpoint', 'import', '-f', file, '--name', 'cut');
      assert.equal(cut.code, 1);
      assert.match(cut.stderr, /error: The file \S+carried\.tar is damaged or cut off\./);
      const altered = Buffer.from(whole);
      altered[whole.length >> 1]! ^= 1;
      await writeFile(file, altered);
      const other = await it.kubectl('checkpoint', 'import', '-f', file, '--name', 'altered');
      assert.equal(other.code, 1);
      assert.match(other.stderr, /another SHA-256 than was announced/);
      const left = await it.must('get', 'podcheckpoints', '-o', 'name');
      assert.match(left, /\/carried-1$/m);
      assert.doesNotMatch(left, /\/(cut|altered)$/m);

      await writeFile(file, whole);
      await it.must('create', 'namespace', 'elsewhere');
      await it.must('checkpoint', 'import', '-f', file, '--name', 'arrived', '-n', 'elsewhere');
      await it.must('checkpoint', 'restore', 'arrived', '-n', 'elsewhere', '--to', it.target);
      const counts = async () =>
        countsIn(
          await it.must('exec', '-n', 'elsewhere', 'carried-restored', '--', 'cat', '/data/counter.log'),
        );
      const seen = (await counts()).length;
      await until('the restored pod counts on', async () => (await counts()).length > seen + 3);
      assert.equal(countProblem(await counts()), undefined);
      await it.must('delete', 'namespace', 'elsewhere');
      await it.must('checkpoint', 'delete', 'carried-1');
      await it.must('delete', 'pod', 'carried', '--grace-period=1');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('an agent’s port on its loopback address is reached by port-forward', async () => {
    const [agent] = await agents();
    const argv = ['port-forward', '-n', SYSTEM_NAMESPACE, `pod/${agent!.metadata.name}`, `:${TRANSFER_PORT}`];
    const forward = spawn('kubectl', argv, { env: it.env, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      let port: number | undefined;
      for await (const line of createInterface(forward.stdout)) {
        port = Number(/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
        if (port) break;
      }
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const asked = request({ port, host: '127.0.0.1', path: '/transfers/none/none' }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        asked.on('error', reject);
        asked.end();
      });
      assert.equal(status, 401, 'asked without a ticket');
      // From the network it is not: only whoever may forward ports gets there.
      const [other] = cluster.nodes.filter(({ name }) => name !== agent!.spec.nodeName);
      const ip = await it.must(
        ...['get', 'pod', '-n', SYSTEM_NAMESPACE, agent!.metadata.name, '-o', 'jsonpath={.status.podIP}'],
      );
      const tried = await other!.exec(['bash', '-c', `exec 3<>/dev/tcp/${ip}/${TRANSFER_PORT}`], {
        timeoutSeconds: 5,
      });
      assert.notEqual(tried.code, 0);
    } finally {
      forward.kill();
    }
  });

  test('certificates and their authority are replaced while a pod moves to and fro', async () => {
    const system = ['-n', SYSTEM_NAMESPACE];
    const deployment = 'deployment/lpm-controller-manager';
    // Certificates for some seconds, and a new authority that signs soon.
    const add = ['--certificate-lifetime=20s', '--ca-overlap=20s'].map((value) => ({
      op: 'add',
      path: '/spec/template/spec/containers/0/args/-',
      value,
    }));
    await it.must('patch', ...system, deployment, '--type=json', '-p', JSON.stringify(add));
    await it.must('rollout', 'status', ...system, deployment, '--timeout=120s');
    // What the agents have is valid for a day, and gone with their pods.
    const before = await agents();
    // An earlier version kept it on the node.
    const former = '/var/lib/lpm/identity.json';
    for (const node of cluster.nodes) await node.exec(['sh', '-c', `echo former >${former}`]);
    await it.must('delete', 'pods', ...system, '-l', 'app=checkpoint-agent');
    const fresh = await until('the agents are back', async () => {
      const now = (await agents()).filter(
        ({ metadata, status }) =>
          !before.some((old) => old.metadata.uid === metadata.uid) &&
          status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      );
      return now.length === cluster.nodes.length && now;
    });

    for (const node of cluster.nodes) assert.notEqual((await node.exec(['ls', former])).code, 0);
    const issuerOn = async (node: string): Promise<string> => {
      const { metadata } = fresh.find(({ spec }) => spec.nodeName === node)!;
      const folder = `/var/lib/kubelet/pods/${metadata.uid}/volumes/kubernetes.io~empty-dir/own-identity`;
      const { stdout } = await cluster.node(node).exec(['cat', `${folder}/identity.json`]);
      return new X509Certificate((JSON.parse(stdout) as { cert: string }).cert).issuer;
    };
    const old = await issuerOn(it.source);
    await it.must('annotate', ...system, 'secret/lpm-ca', 'lpm.my.domain/rotate=now');
    await it.startCounter('turning', it.source);
    let name = 'turning';
    let moves = 0;
    const isReplaced = async (): Promise<boolean> =>
      (await Promise.all(cluster.nodes.map((node) => issuerOn(node.name)))).every((issuer) => issuer !== old);
    for (let wasReplaced = false; ; wasReplaced = await isReplaced()) {
      const to = moves % 2 === 0 ? it.target : it.source;
      const { code, stdout, stderr } = await it.kubectl('migrate', name, '--to', to);
      assert.equal(code, 0, `${stdout}\n${stderr}`);
      moves += 1;
      name = /^ +To: +(\S+) on /m.exec(stdout)![1]!;
      // Once more, with the new one everywhere.
      if (wasReplaced) break;
      assert.ok(moves < 50, `the authority is not replaced after ${moves} moves`);
    }
    await countsOn(name);
    const now = await agents();
    assert.deepEqual(
      now.map(({ metadata }) => metadata.uid).sort(),
      fresh.map(({ metadata }) => metadata.uid).sort(),
      'no agent was restarted',
    );
    await it.must('delete', 'pod', name, '--grace-period=1');
  });

  for (const side of ['source', 'target'] as const) {
    test(`a migration whose ${side}’s agent pod is deleted in its middle ends right`, async () => {
      const name = `gone-${side}`;
      await it.startCounter(name, it.source);
      const agent = (await agents()).find(({ spec }) => spec.nodeName === it[side])!;
      await it.apply({
        apiVersion: 'lpm.my.domain/v1',
        kind: 'PodMigration',
        metadata: { name },
        spec: { podName: name, targetNode: it.target },
      });
      const migration = async (): Promise<Migration> =>
        JSON.parse(await it.must('get', 'podmigration', name, '-o', 'json')) as Migration;
      await until('the source is frozen', async () => {
        const phase = (await migration()).status?.phase ?? 'Pending';
        return phase !== 'Pending';
      });
      await it.must(
        ...[
          'delete',
          'pod',
          '-n',
          SYSTEM_NAMESPACE,
          agent.metadata.name,
          '--grace-period=0',
          '--force',
          '--wait=false',
        ],
      );
      const { status } = await until(
        'the migration ends',
        async () => {
          const found = await migration();
          return ['Succeeded', 'Failed'].includes(found.status?.phase ?? '') && found;
        },
        { timeoutMs: 120_000 },
      );
      const again = await until('the agent is back', async () =>
        (await agents()).find(
          ({ metadata, spec, status: pod }) =>
            spec.nodeName === it[side] &&
            metadata.uid !== agent.metadata.uid &&
            pod.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
        ),
      );
      assert.notEqual(again.metadata.name, agent.metadata.name);
      const survivor = status?.phase === 'Succeeded' ? status.restoredPodName! : name;
      await countsOn(survivor);
      const pods = (await it.must('get', 'pods', '-o', 'name'))
        .split('\n')
        .filter((pod) => pod.includes(name));
      assert.deepEqual(pods, [`pod/${survivor}`], 'one copy');
    });
  }

  /** What a cluster has of everything: objects by name, and on the nodes containers, files, rules and devices. */
  async function traces(): Promise<Record<string, string[]>> {
    const lines = (text: string): string[] => text.split('\n').filter(Boolean).sort();
    const kinds = lines(await it.must('api-resources', '--verbs=list', '-o', 'name'));
    const seen: Record<string, string[]> = { kinds };
    const lasting = kinds.filter((name) => !/^(events|leases|pods)(\.|$)/.test(name));
    const columns = 'custom-columns=:kind,:metadata.namespace,:metadata.name';
    seen.objects = lines(await it.must('get', lasting.join(','), '-A', '--no-headers', '-o', columns));
    for (const node of cluster.nodes) {
      const script = `ctr -n k8s.io containers ls -q | wc -l; ctr -n k8s.io tasks ls -q | wc -l
        find /opt/lpm /etc/lpm /etc/containerd /etc/cni /var/lib/lpm /mnt/checkpoints /var/lib/kubelet/pods -maxdepth 1
        iptables-save -t nat | grep -v '^[#:]'; ls /sys/class/net | wc -l; grep -c . /proc/mounts`;
      seen[node.name] = lines((await node.exec(['sh', '-c', script])).stdout);
    }
    return seen;
  }
  const gone = async (): Promise<void> => {
    await uninstallProject(cluster);
    await until('the last process of the project has ended', async () => {
      for (const node of cluster.nodes) {
        const { stdout } = await node.exec(['ps', '-eo', 'args']);
        if (/\/app\/(agent|controller)\.mjs/.test(stdout)) return false;
        const { stdout: containers } = await node.exec(['ctr', '-n', 'k8s.io', 'containers', 'ls']);
        if (/localhost\/(controller|checkpoint-agent)/.test(containers)) return false;
      }
      return (await it.kubectl('get', 'namespace', SYSTEM_NAMESPACE)).code !== 0;
    });
  };

  test('kubectl delete -k leaves nodes and API as they were before, and what was moved runs on', async () => {
    await gone();
    await countsOn('counter-restored');
    const before_ = await traces();
    assert.doesNotMatch(JSON.stringify(before_.kinds), /lpm/);
    await installProject(cluster, () => {});
    await gone();
    assert.deepEqual(await traces(), before_);
    await countsOn('counter-restored');
  });

  test('the plugin installs it and takes it away again, from the nodes too: they and the API are as before', async () => {
    const installed = async () => {
      const { code, stdout, stderr } = await it.kubectl('migrate', 'install', '--timeout', '3m');
      assert.equal(code, 0, `${stdout}\n${stderr}`);
      assert.doesNotMatch(stdout, / fail$/m);
    };
    const taken = async (...more: string[]) => {
      const { code, stderr } = await it.kubectl('migrate', 'uninstall', '--yes', ...more);
      assert.equal(code, 0, stderr);
    };
    await installed();
    await it.startCounter('kept', it.source);
    await it.must('migrate', 'kept', '--to', it.target);
    const refused = await it.kubectl('migrate', 'uninstall', '--yes');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /restored pods? still needs? the runtime handler: \S+-restored/);
    const restored = JSON.parse(await it.must('get', 'pods', '-o', 'json')) as {
      items: { metadata: { name: string }; spec: { runtimeClassName?: string } }[];
    };
    for (const { metadata, spec } of restored.items) {
      if (spec.runtimeClassName === 'lpm') await it.must('delete', 'pod', metadata.name, '--grace-period=1');
    }
    await taken();
    const before_ = await traces();
    assert.doesNotMatch(JSON.stringify(before_.kinds), /lpm/);
    assert.doesNotMatch(JSON.stringify(before_[it.source]), /opt\/lpm|var\/lib\/lpm|99-lpm/);
    await installed();
    await taken();
    assert.deepEqual(await traces(), before_);
  });
});
