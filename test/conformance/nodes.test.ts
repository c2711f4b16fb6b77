/** What needs a node: running containers, their logs, and the streams into them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test, type TestContext } from 'node:test';
import { run } from '../cluster/run.js';
import { until } from '../support/until.js';
import { startSubject, type Plain, type Subject } from './subject.js';

let subject: Subject;
let dir: string;
before(async () => {
  subject = await startSubject();
  dir = mkdtempSync(join(tmpdir(), 'lpm-conformance-'));
  if (subject.readyNodes.length === 0) return;
  await subject.must(
    'create -f -',
    pod('main', 'echo started; echo $$ >/tmp/pid; exec nc -ll -p 8080 -e cat'),
  );
  await subject.must('wait --for=condition=Ready pod/main --timeout=120s');
});
after(async () => {
  rmSync(dir, { recursive: true, force: true });
  await subject.end();
});

/** A test that is skipped, with a sentence, where no pod can run. */
function nodeTest(name: string, check: () => Promise<void>): void {
  test(name, async (t: TestContext) => {
    if (subject.readyNodes.length === 0) t.skip('The cluster has no ready node.');
    else await check();
  });
}

function pod(name: string, script: string, spec: Record<string, unknown> = {}): Plain {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        { name: 'main', image: 'docker.io/library/busybox:1.35', command: ['sh', '-c', script], stdin: true },
      ],
      ...spec,
    },
  };
}

/** kubectl as a process that the test talks to; ends with the test's `stop`. */
function start(...args: string[]) {
  const child = spawn('kubectl', ['-n', subject.namespace, ...args], { env: subject.env, stdio: 'pipe' });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = once(child, 'close');
  return {
    child,
    line: async () => (await lines.next()).value as string,
    async stop() {
      child.kill();
      await closed;
    },
  };
}

nodeTest('logs are read from the end, followed, and kept of the container before', async () => {
  await subject.must(
    'create -f -',
    pod('logger', 'for i in 1 2 3; do echo line $i; done; read go; echo line 4; read end; exit 3'),
  );
  await subject.must('wait --for=condition=Ready pod/logger --timeout=120s');
  assert.equal(await subject.must('logs logger'), 'line 1\nline 2\nline 3\n');
  assert.equal(await subject.must('logs logger --tail=1'), 'line 3\n');
  assert.equal(await subject.must('logs logger --limit-bytes=6'), 'line 1');
  assert.match(await subject.must('logs logger --timestamps --tail=1'), /^\d{4}-\d\d-\d\dT\S+ line 3\n$/);
  assert.match(
    await subject.refused('logs logger --previous'),
    /previous terminated container "main" in pod "logger" not found/,
  );
  const follow = start('logs', '-f', 'logger', '--tail=1');
  const attach = start('attach', '-i', 'logger');
  try {
    assert.equal(await follow.line(), 'line 3');
    attach.child.stdin.write('\n');
    assert.equal(await follow.line(), 'line 4');
    attach.child.stdin.write('\n');
    const [code] = (await once(follow.child, 'close')) as [number];
    assert.equal(code, 0, 'following ends with the container');
  } finally {
    await attach.stop();
    follow.child.kill();
  }
  await until(
    'the container was started again',
    async () =>
      (await subject.kube.pods.get('logger', subject.namespace)).status?.containerStatuses?.[0]
        ?.restartCount === 1,
  );
  const previous = await until('the log before is kept', async () => {
    const { code, stdout } = await subject.kubectl('logs logger --previous');
    return code === 0 && stdout;
  });
  assert.equal(previous, 'line 1\nline 2\nline 3\nline 4\n');
  const terminated = (await subject.kube.pods.get('logger', subject.namespace)).status?.containerStatuses?.[0]
    ?.lastState?.terminated;
  assert.deepEqual([terminated?.exitCode, terminated?.reason], [3, 'Error']);
});

nodeTest('exec passes input, output, errors and the exit code', async () => {
  const { code, stdout, stderr } = await subject.kubectl(
    ['exec', '-i', 'main', '--', 'sh', '-c', 'cat; echo warn >&2; exit 7'],
    'typed in',
  );
  assert.deepEqual([code, stdout], [7, 'typed in']);
  assert.match(stderr, /^warn\ncommand terminated with exit code 7\n$/);
  assert.match(
    await subject.refused('exec main -c other -- true'),
    /container other (is not valid for|not found in) pod main/,
  );
  const bytes = await subject.must([
    'exec',
    'main',
    '--',
    'sh',
    '-c',
    'head -c 3000000 /dev/zero | tr "\\0" x',
  ]);
  assert.equal(bytes.length, 3_000_000);
});

nodeTest('exec -it has a terminal', async () => {
  const inner = `kubectl -n ${subject.namespace} exec -it main -- sh -c 'tty; test -t 0 && test -t 1 && echo both ways'`;
  const { stdout } = await run('script', ['-qec', inner, '/dev/null'], {
    env: subject.env,
  });
  assert.match(stdout, /\/dev\/pts\/\d+\r\nboth ways\r\n/);
});

nodeTest('cp copies there and back', async () => {
  const text = 'x'.repeat(200_000);
  writeFileSync(join(dir, 'there'), text);
  await subject.must(['cp', join(dir, 'there'), 'main:/tmp/copied']);
  await subject.must(['cp', 'main:/tmp/copied', join(dir, 'back')]);
  assert.equal(readFileSync(join(dir, 'back'), 'utf8'), text);
});

nodeTest('port-forward reaches the pod', async () => {
  const forward = start('port-forward', 'pod/main', ':8080');
  try {
    const port = Number(/127\.0\.0\.1:(\d+) -> 8080/.exec(await forward.line())?.[1]);
    const socket = connect(port, '127.0.0.1');
    socket.write('echoed');
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    assert.equal(chunk.toString(), 'echoed');
    socket.destroy();
  } finally {
    await forward.stop();
  }
});

nodeTest('a running pod ends within its grace, and at once when that is asked for', async () => {
  const stubborn = pod('stubborn', "trap '' TERM; while :; do sleep 1; done", {
    terminationGracePeriodSeconds: 3,
  });
  await subject.must('create -f -', stubborn);
  await subject.must('wait --for=condition=Ready pod/stubborn --timeout=120s');
  await subject.must('delete pod stubborn --wait=false');
  const leaving = await subject.kube.pods.get('stubborn', subject.namespace);
  assert.ok(leaving.metadata.deletionTimestamp);
  assert.match(await subject.must('get pod stubborn'), /stubborn +1\/1 +Terminating /);
  const began = Date.now();
  await subject.must('delete pod stubborn --timeout=60s');
  assert.ok(Date.now() - began < 60_000);
  assert.equal(await subject.kube.pods.find('stubborn', subject.namespace), undefined);

  await subject.must('create -f -', stubborn);
  await subject.must('wait --for=condition=Ready pod/stubborn --timeout=120s');
  await subject.must('delete pod stubborn --grace-period=0 --force');
  assert.equal(await subject.kube.pods.find('stubborn', subject.namespace), undefined);
});

nodeTest('a second deletion leaves a pod less time to end', async () => {
  const patient = pod('patient', "trap '' TERM; while :; do sleep 1; done", {
    terminationGracePeriodSeconds: 600,
  });
  await subject.must('create -f -', patient);
  await subject.must('wait --for=condition=Ready pod/patient --timeout=120s');
  await subject.must('delete pod patient --wait=false');
  await subject.must('delete pod patient --grace-period=1 --timeout=120s');
  assert.equal(await subject.kube.pods.find('patient', subject.namespace), undefined);
});

nodeTest('the last that is heard of a deleted pod is how it ended', async () => {
  const ends = (name: string, word: string) =>
    pod(name, `trap '${word}' TERM; while :; do sleep 0.1; done`, { terminationGracePeriodSeconds: 2 });
  await subject.must('create -f -', ends('obedient', 'exit 0'));
  await subject.must('create -f -', ends('deaf', ''));
  await subject.must('wait --for=condition=Ready pod/obedient pod/deaf --timeout=120s');
  const { metadata } = await subject.kube.pods.list({ namespace: subject.namespace });
  await subject.must('delete pod obedient deaf --timeout=120s');
  const last = new Map<string, string | undefined>();
  const stop = new AbortController();
  const from = { namespace: subject.namespace, resourceVersion: metadata.resourceVersion! };
  for await (const { type, object } of subject.kube.pods.watch(from, stop.signal)) {
    if (type === 'DELETED') last.set(object.metadata.name, object.status?.phase);
    if (last.size === 2) break;
  }
  assert.deepEqual(Object.fromEntries(last), { deaf: 'Failed', obedient: 'Succeeded' });
});

nodeTest('a pod that ends says so, and its events tell how it went', async () => {
  await subject.must(
    'create -f -',
    pod('done', 'echo bye >/dev/termination-log', { restartPolicy: 'Never' }),
  );
  await subject.must('wait --for=jsonpath={.status.phase}=Succeeded pod/done --timeout=120s');
  const { status } = await subject.kube.pods.get('done', subject.namespace);
  const terminated = status?.containerStatuses?.[0]?.state?.terminated;
  assert.deepEqual(
    [terminated?.exitCode, terminated?.reason, terminated?.message],
    [0, 'Completed', 'bye\n'],
  );
  assert.match(await subject.must('get pod done'), /done +0\/1 +Completed +0 /);
  const reasons = await until('its events are told', async () => {
    const { stdout } = await subject.kubectl(
      'get events --field-selector involvedObject.name=done -o jsonpath={.items[*].reason}',
    );
    return stdout.includes('Started') && stdout.split(' ');
  });
  for (const reason of ['Scheduled', 'Pulled', 'Created', 'Started'])
    assert.ok(reasons.includes(reason), reason);
});
