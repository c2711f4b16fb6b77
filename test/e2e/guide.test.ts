/** The testing guide's own commands, taken from its text, run by bash with the real kubectl. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type {
  ContainerCheckpoint,
  ContainerCheckpointContent,
  PodCheckpoint,
  PodCheckpointContent,
} from '../../common/api/schema.js';
import { nginxImage } from '../cluster/images/images.js';
import { repository } from '../cluster/paths.js';
import { run } from '../cluster/run.js';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { given, skipped, startTestbed, type Testbed } from './testbed.js';

const section = (number: number): string =>
  readFileSync(join(import.meta.dirname, `guide-section-${number}.md`), 'utf8');

/** The commands of the first bash block after a piece of text. */
function bashBlock(text: string, after: string): string {
  const from = text.indexOf(after);
  const block = from === -1 ? null : /```bash\n([^]*?)```/.exec(text.slice(from));
  assert.ok(block?.[1], `the guide has a bash block after "${after}"`);
  return block[1];
}

/** The guide itself lies beside the repository, not in it. */
const guide = join(repository, '../shared/reference/testing-guide.md');

for (const number of [4, 5, 6, 7, 8, 9]) {
  test(
    `the copy of the guide’s section ${number} is what the guide says`,
    { skip: !existsSync(guide) && `there is no ${guide}` },
    () => assert.ok(readFileSync(guide, 'utf8').includes(section(number))),
  );
}

const skip = given ? 'the guide’s commands work in the namespace default, which is others’ there' : skipped;

describe('the guide’s commands, as written', { skip, concurrency: true }, () => {
  let it: Testbed;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lpm-guide-'));
    it = await startTestbed();
    // README: what the guide calls config/samples is manifests/samples here.
    mkdirSync(join(folder, 'config'));
    symlinkSync(join(repository, 'manifests/samples'), join(folder, 'config/samples'));
    mkdirSync(join(folder, 'bin'));
    // The counter is past 10 half a minute after its start; the guide's script takes 70 seconds, this one 35.
    writeFileSync(join(folder, 'bin/sleep'), '#!/bin/sh\nexec /bin/sleep "$(($1 / 2)).$(($1 % 2 * 5))"\n', {
      mode: 0o755,
    });
  });
  after(async () => {
    await it?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  /** For a person at the cluster's keyboard: the namespace is default. */
  const shell = () => ({
    cwd: folder,
    env: {
      ...it.env,
      KUBECONFIG: it.local().kubeconfig,
      PATH: `${folder}/bin:${it.env.PATH ?? ''}`,
    },
  });
  const bash = (script: string) => run('bash', ['-c', script], shell());
  const must = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run('kubectl', args, shell());
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };

  const get = async <T>(kind: string, name: string): Promise<T> =>
    JSON.parse(await must('get', kind, name, '-o', 'json')) as T;
  /** As archives are named: RFC 3339 with whole seconds. */
  const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ';

  test('section 7 migrates the counter with its process state', async () => {
    const script = bashBlock(section(7), '**Working Migration Test**');
    const [migration = '', cleaning = ''] = script.split(/^(?=# Clean up$)/m);
    assert.ok(cleaning, 'the script ends with its cleaning up');

    const { code, stdout, stderr } = await bash(migration);
    const said = `\n${stdout}\n${stderr}`;
    assert.equal(code, 0, said);
    assert.match(stdout, /^✅ SUCCESS: Process state preserved!/m, said);
    assert.match(stdout, /^✅ Live migration with zero downtime achieved!$/m, said);
    assert.doesNotMatch(stdout, /❌/, said);
    assert.equal(stderr, '', 'no command complained');
    assert.match(stdout, /^ +phase: Succeeded$/m);

    const pod = JSON.parse(await must('get', 'pod', 'counter-migration-test-restored', '-o', 'json')) as {
      spec: { nodeName: string; containers: { image: string }[] };
      status: { containerStatuses: { containerID: string }[] };
    };
    assert.equal(pod.spec.nodeName, 'k8s-master');
    assert.equal(pod.spec.containers[0]?.image, 'busybox:1.35');
    const [, seen] = /^Current counter state: Count=(\d+)$/m.exec(stdout) ?? [];
    const inLog = countsIn(await must('logs', 'counter-migration-test-restored'));
    const inFile = countsIn(
      await must('exec', 'counter-migration-test-restored', '--', 'cat', '/data/counter.log'),
    );
    assert.equal(countProblem(inLog), undefined, 'the log');
    assert.equal(countProblem(inFile), undefined, 'the file');
    assert.ok(inFile.length > Number(seen), 'counted on');

    const cleaningUp = bash(cleaning);
    // As process 1 the counter's shell ignores SIGTERM; its node spares us the 30 seconds until the kubelet kills it.
    await until('the pod is being deleted', async () =>
      /deletionTimestamp/.test(await must('get', 'pod', 'counter-migration-test-restored', '-o', 'yaml')),
    );
    const id = pod.status.containerStatuses[0]?.containerID.replace('containerd://', '') ?? '';
    await it
      .local()
      .node('k8s-master')
      .exec(['runc', '--root', '/run/containerd/runc/k8s.io', 'kill', id, 'KILL']);
    const cleaned = await cleaningUp;
    assert.equal(cleaned.code, 0, cleaned.stderr);
    for (const kind of ['pod', 'podmigration'])
      assert.doesNotMatch(await must('get', kind, '-o', 'name'), /counter-migration/);
  });

  test('section 4 checkpoints the container nginx', async (t) => {
    const worker = it.local().node('k8s-worker');
    if (!(await worker.exec(['ctr', '-n', 'k8s.io', 'images', 'ls', '-q'])).stdout.includes(nginxImage))
      return t.skip('there is no nginx in the root that LPM_NODE_ROOT names');
    const child = spawn('bash', ['-c', bashBlock(section(4), '### 4.')], { ...shell(), detached: true });
    try {
      const seen = output(child);
      await until(
        'the last command, which watches, shows the success',
        () => /^test-checkpoint .*Succeeded/m.test(seen()),
        { timeoutMs: 60_000 },
      ).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${seen()}`);
      });
      assert.doesNotMatch(seen(), /error/i);
    } finally {
      // As Ctrl-C does: the whole group, kubectl included.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
    }

    const checkpoint = await get<ContainerCheckpoint>('containercheckpoint', 'test-checkpoint');
    assert.deepEqual(
      checkpoint.status?.phaseTransitions?.map(({ phase }) => phase),
      ['Pending', 'Running', 'Succeeded'],
    );
    const { spec } = await get<ContainerCheckpointContent>(
      'containercheckpointcontent',
      checkpoint.status?.boundContentName ?? '',
    );
    assert.match(spec.artifactURI, new RegExp(`^shared://${spec.podUID}-nginx-${time}\\.tar$`));
    const file = spec.artifactURI.replace('shared://', '');
    for (const node of it.local().nodes)
      assert.ok(existsSync(node.path(`/mnt/checkpoints/${file}`)), node.name);
    const made = readdirSync(worker.path('/var/lib/kubelet/checkpoints')).filter((name) =>
      new RegExp(`^checkpoint-test-pod_default-nginx-${time}\\.tar$`).test(name),
    );
    assert.equal(made.length, 1, 'the agent was asked once, for one file');
    assert.match(
      await it.local().agents.log('k8s-worker'),
      new RegExp(`"message":"checkpointed".*${checkpoint.metadata.uid}`),
    );
    assert.match(
      await must('exec', 'test-pod', '--', 'wget', '-qO-', 'http://127.0.0.1/'),
      /Welcome to nginx/,
      'it serves on',
    );
    await must('delete', 'containercheckpoint', 'test-checkpoint');
    await must('delete', 'pod', 'test-pod', '--grace-period=1');
  });

  test('section 5 checkpoints each container of a pod', async (t) => {
    const worker = it.local().node('k8s-worker');
    if (!(await worker.exec(['ctr', '-n', 'k8s.io', 'images', 'ls', '-q'])).stdout.includes(nginxImage))
      return t.skip('there is no nginx in the root that LPM_NODE_ROOT names');
    // The command that watches is ended like by Ctrl-C; what follows it is for afterwards.
    const watching = 'kubectl get podcheckpoint multi-container-checkpoint -w\n';
    const script = bashBlock(section(5), '### 5.');
    const at = script.indexOf(watching) + watching.length;
    assert.ok(at > watching.length, 'it watches');
    const child = spawn('bash', ['-c', script.slice(0, at)], { ...shell(), detached: true });
    try {
      const seen = output(child);
      await until(
        'the watch shows the success',
        () => /^multi-container-checkpoint .*Succeeded/m.test(seen()),
        { timeoutMs: 120_000 },
      ).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${seen()}`);
      });
      assert.doesNotMatch(seen(), /error/i);
    } finally {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
    }

    const rest = await bash(script.slice(at));
    assert.equal(rest.code, 0, rest.stderr);
    for (const container of ['nginx', 'busybox'])
      assert.match(rest.stdout, new RegExp(`^multi-container-checkpoint-${container} .*Succeeded`, 'm'));
    assert.match(rest.stdout, /^ +Phase: +Succeeded$/m);
    const whole = await get<PodCheckpoint>('podcheckpoint', 'multi-container-checkpoint');
    assert.deepEqual(
      whole.status?.phaseTransitions?.map(({ phase }) => phase),
      ['Pending', 'Running', 'Succeeded'],
    );
    const content = await get<PodCheckpointContent>(
      'podcheckpointcontent',
      whole.status?.boundContentName ?? '',
    );
    assert.match(rest.stdout, new RegExp(`^${content.metadata.name} `, 'm'));
    assert.equal(content.spec.containerCheckpointContents.length, 2);
    for (const container of ['nginx', 'busybox']) {
      const child_ = await get<ContainerCheckpoint>(
        'containercheckpoint',
        `multi-container-checkpoint-${container}`,
      );
      assert.equal(child_.metadata.ownerReferences?.[0]?.uid, whole.metadata.uid);
      const name = child_.status?.boundContentName ?? '';
      assert.ok(content.spec.containerCheckpointContents.includes(name), `${name} is among the pod's`);
      const { spec } = await get<ContainerCheckpointContent>('containercheckpointcontent', name);
      assert.match(spec.artifactURI, new RegExp(`^shared://${spec.podUID}-${container}-[0-9TZ:-]+\\.tar$`));
      for (const node of it.local().nodes)
        assert.ok(
          existsSync(node.path(spec.artifactURI.replace('shared://', '/mnt/checkpoints/'))),
          node.name,
        );
      const files = readdirSync(worker.path('/var/lib/kubelet/checkpoints'));
      assert.ok(
        files.some((file) => file.startsWith(`checkpoint-multi-container-pod_default-${container}-`)),
        files.join(' '),
      );
    }
    const before_ = (await must('logs', 'multi-container-pod', '-c', 'busybox')).length;
    await until(
      'it says hello again',
      async () => (await must('logs', 'multi-container-pod', '-c', 'busybox')).length > before_,
    );
    await must('delete', 'podcheckpoint', 'multi-container-checkpoint');
    await must('delete', 'pod', 'multi-container-pod', '--grace-period=1');
    await until(
      'the archives are gone with their checkpoint',
      () =>
        !readdirSync(worker.path('/mnt/checkpoints')).some((file) => file.startsWith(content.spec.podUID)),
    );
  });
});

/** Collects what a command prints; answers how to read what it has printed so far. */
function output(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return () => text;
}
