import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { until } from '../../test/support/until.js';
import { Claim } from '../../proto/gen/lpm/v1/agent.js';
import { claimRevoked } from '../claim.js';

const podUid = '11111111-2222-3333-4444-555555555555';
const migration = '99999999-8888-7777-6666-555555555555';
const id = 'a'.repeat(64);

/**
 * Stands in for runc and CRIU: notes how it was called, and for `restore` calls the action script as CRIU does, from a
 * process of its own. "executed" is written where CRIU lets the restored processes go.
 */
const fakeRuntime = `#!/bin/sh
echo "$*" >>"$FAKE/calls"
case " $* " in *" state "*) cat "$FAKE/state"; exit ;; esac
case " $* " in *" restore "*) ;; *) exit 0 ;; esac
[ ! -e "$FAKE/fail-early" ] || { echo '(0.1) Error (criu/x.c:1): boom' >"$LPM_ATTEMPT/work/restore.log"; exit 1; }
script=$(sed -n 's/^action-script //p' "$CRIU_CONFIG_FILE")
sleep 60 & init=$!
sh -c '
  script=$1
  export CRTOOLS_INIT_PID=$2
  CRTOOLS_SCRIPT_ACTION=post-restore "$script" || exit 1
  [ ! -e "$FAKE/fail-late" ] || exit 1
  : >"$LPM_ATTEMPT/claimed"
  while [ -e "$FAKE/slow" ]; do sleep 0.01; done
  echo "Running pre-resume scripts" >>"$LPM_ATTEMPT/work/restore.log"
  [ -e "$FAKE/no-pre-resume" ] || CRTOOLS_SCRIPT_ACTION=pre-resume "$script"
  grep -q "^State:.[SR]" "/proc/$2/status" || exit 1
  echo "$LPM_ATTEMPT" >>"$FAKE/executed"
  [ ! -e "$FAKE/lost" ] || exit 1
  CRTOOLS_SCRIPT_ACTION=post-resume "$script"
  exit 0' criu "$script" "$init"
status=$?
kill -9 "$init"
[ ! -e "$FAKE/forgives" ] || exit 0
exit $status
`;

/** Stands in for sync(1), and ends the runtime while the claim's folder is being synced. */
const fakeSync = `#!/bin/sh
if [ -e "$FAKE/dies-in-sync" ] && [ "$1" = "\${LPM_POD:-}" ]; then
  parent() { sed -n 's/^PPid:[[:space:]]*//p' "/proc/$1/status"; }
  runtime=$(parent "$(parent "$PPID")")
  kill -9 "$runtime" "$CRTOOLS_INIT_PID"
  while grep -q '^State:.[^ZX]' "/proc/$runtime/status" 2>/dev/null; do :; done
fi
exec /bin/sync "$@"
`;

interface Home {
  dir: string;
  /** pods/<uid> */
  pod: string;
  /** pods/<uid>/containers/main */
  container: string;
  bundle: string;
  rootfs: string;
  put(file: string, content?: string): void;
  /** Runs the handler to its end. */
  run(...args: string[]): Promise<{ code: number; stderr: string; stdout: string }>;
  start(...args: string[]): ChildProcess;
  create(containerId?: string): Promise<{ code: number; stderr: string }>;
  calls(): string[];
  executions(): number;
}

function home(
  t: TestContext,
  annotations: Record<string, string> = containerdAnnotations,
  more: object = {},
  indent = '',
): Home {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-handler-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const put = (file: string, content = ''): void => {
    mkdirSync(join(dir, file, '..'), { recursive: true });
    writeFileSync(join(dir, file), content);
  };
  mkdirSync(join(dir, 'bin'));
  copyFileSync(new URL('lpm-runtime.sh', import.meta.url), join(dir, 'bin/lpm-runtime'));
  chmodSync(join(dir, 'bin/lpm-runtime'), 0o755);
  put('fake/runtime', fakeRuntime);
  chmodSync(join(dir, 'fake/runtime'), 0o755);
  put('fake/bin/sync', fakeSync);
  chmodSync(join(dir, 'fake/bin/sync'), 0o755);
  put('etc/runtime', join(dir, 'fake/runtime'));
  put('etc/state-dir', join(dir, 'state'));
  // Long, for busy machines; the tests of the deadline itself shorten it.
  put('etc/wait-seconds', '60');
  mkdirSync(join(dir, 'bundle/rootfs'), { recursive: true });
  put('bundle/config.json', JSON.stringify({ root: { path: 'rootfs' }, annotations, ...more }, null, indent));
  const start = (...args: string[]): ChildProcess =>
    spawn(join(dir, 'bin/lpm-runtime'), args, {
      env: { PATH: `${join(dir, 'fake/bin')}:${process.env.PATH}`, FAKE: join(dir, 'fake') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const run: Home['run'] = (...args) =>
    new Promise((resolve) => {
      const child = start(...args);
      let [stderr, stdout] = ['', ''];
      child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.on('close', (code) => resolve({ code: code ?? 255, stderr, stdout }));
    });
  const lines = (file: string): string[] =>
    existsSync(join(dir, file)) ? readFileSync(join(dir, file), 'utf8').trim().split('\n') : [];
  const container = join(dir, `state/pods/${podUid}/containers/main`);
  return {
    dir,
    pod: join(dir, `state/pods/${podUid}`),
    container,
    bundle: join(dir, 'bundle'),
    rootfs: join(dir, 'bundle/rootfs'),
    put,
    run,
    start,
    create: (containerId = id) =>
      run(
        '--root',
        '/r',
        '--log',
        join(dir, 'log.json'),
        '--log-format',
        'json',
        ...createArgs(dir, containerId),
      ),
    calls: () => lines('fake/calls'),
    executions: () => lines('fake/executed').length,
  };
}

const createArgs = (dir: string, containerId: string): string[] => [
  'create',
  '--bundle',
  join(dir, 'bundle'),
  '--pid-file',
  join(dir, 'bundle/init.pid'),
  containerId,
];

const containerdAnnotations = {
  'io.kubernetes.cri.sandbox-uid': podUid,
  'io.kubernetes.cri.container-name': 'main',
  'io.kubernetes.cri.container-type': 'container',
  'lpm.my.domain/migration': migration,
};
/** As CRI-O 1.36 writes them: the pod's own stand beside the container's, which are repeated as JSON. */
const crioAnnotations = {
  'io.container.manager': 'cri-o',
  'io.kubernetes.container.name': 'main',
  'io.kubernetes.container.restartCount': '0',
  'io.kubernetes.cri-o.Annotations': JSON.stringify({ 'io.kubernetes.container.restartCount': '0' }),
  'io.kubernetes.cri-o.ContainerType': 'container',
  'io.kubernetes.cri-o.Metadata': JSON.stringify({ name: 'main' }),
  'io.kubernetes.pod.uid': podUid,
  'kubernetes.io/config.source': 'api',
  'lpm.my.domain/migration': migration,
};

/** What the agent leaves for the handler. */
function makeReady({ put, container, dir }: Home, containerId = id): void {
  const at = container.slice(dir.length + 1);
  mkdirSync(join(container, 'stage/checkpoint'), { recursive: true });
  put(`${at}/ready`, `restore ${migration}\ncontainer ${containerId}\n`);
}

const inState = (file: string): string => `state/pods/${podUid}/${file}`;

/** For each state on disk: does `create` create, restore, or refuse? */
const table: {
  name: string;
  annotations?: Record<string, string>;
  more?: object;
  given?: (home: Home) => void;
  then: 'creates' | 'restores' | 'refuses';
  says?: RegExp;
  /** Of config.json; containerd writes one line. */
  indent?: string;
}[] = [
  {
    name: 'a container of a pod that no migration made is created at once',
    annotations: { ...containerdAnnotations, 'lpm.my.domain/migration': '' },
    given: ({ dir }) => {
      const file = join(dir, 'bundle/config.json');
      writeFileSync(file, readFileSync(file, 'utf8').replace('"lpm.my.domain/migration":""', '"a":"b"'));
    },
    then: 'creates',
  },
  {
    name: 'a sandbox is created at once',
    annotations: { ...containerdAnnotations, 'io.kubernetes.cri.container-type': 'sandbox' },
    then: 'creates',
  },
  {
    name: "CRI-O's sandbox is created at once",
    annotations: { ...crioAnnotations, 'io.kubernetes.container.name': 'POD' },
    then: 'creates',
  },
  {
    name: 'an annotation that stands in an environment variable is none',
    annotations: {
      'io.kubernetes.cri.sandbox-uid': podUid,
      'io.kubernetes.cri.container-name': 'main',
      'io.kubernetes.cri.container-type': 'container',
    },
    more: { process: { env: [`X="lpm.my.domain/migration":"${migration}"`] } },
    then: 'creates',
  },
  {
    name: 'a waiting pod without UID is refused',
    annotations: { 'lpm.my.domain/migration': migration, 'io.kubernetes.cri.container-name': 'main' },
    then: 'refuses',
    says: /has no pod UID/,
  },
  {
    name: 'a pod UID that is a path is refused',
    annotations: { ...containerdAnnotations, 'io.kubernetes.cri.sandbox-uid': '../../etc' },
    then: 'refuses',
    says: /has no pod UID/,
  },
  {
    name: 'a container whose claim was revoked is refused, though it is ready',
    given: (home) => {
      makeReady(home);
      home.put(inState('claim'), `revoked ${migration}\n`);
    },
    then: 'refuses',
    says: /was taken back/,
  },
  {
    name: 'a claim that cannot be read is refused',
    given: (home) => {
      makeReady(home);
      home.put(inState('claim'), 'nonsense\n');
    },
    then: 'refuses',
    says: /cannot be read/,
  },
  {
    name: 'a restore that was attempted before the commit is never attempted again',
    given: (home) => {
      makeReady(home);
      mkdirSync(join(home.container, 'attempted'));
    },
    then: 'refuses',
    says: /never attempted twice/,
  },
  {
    name: 'a restore that was committed but has not executed is repeated',
    given: (home) => {
      makeReady(home);
      mkdirSync(join(home.container, 'attempted/1'), { recursive: true });
      home.put(inState('claim'), `committed ${migration}\n`);
    },
    then: 'restores',
  },
  {
    name: 'a container that was restored and completed is created like any other',
    given: (home) => {
      makeReady(home);
      home.put(inState('claim'), `committed ${migration}\n`);
      home.put(inState('containers/main/executed'), `container ${'b'.repeat(64)}\nattempt 1\n`);
      home.put(inState('containers/main/completed'), `container ${'b'.repeat(64)}\n`);
    },
    then: 'creates',
  },
  {
    name: 'a container that executed although its handler was killed is created like any other',
    given: (home) => {
      makeReady(home);
      home.put(inState('claim'), `committed ${migration}\n`);
      home.put(inState('containers/main/executed'), `container ${'b'.repeat(64)}\nattempt 1\n`);
    },
    then: 'creates',
  },
  {
    name: 'a container whose claim was taken back before it executed is refused for ever',
    given: (home) => {
      makeReady(home);
      home.put(inState('wanted'), 'main\n');
      home.put(inState('claim'), `committed ${migration}\n`);
      assert.equal(claimRevoked(home.pod, migration).claim, Claim.CLAIM_REVOKED);
    },
    then: 'refuses',
    says: /was taken back/,
  },
  {
    name: 'a mark of execution that cannot be read is refused',
    given: (home) => {
      makeReady(home);
      home.put(inState('claim'), `committed ${migration}\n`);
      home.put(inState('containers/main/executed'), '');
    },
    then: 'refuses',
    says: /cannot be read/,
  },
  {
    name: 'a container that no checkpoint holds is created after the commit',
    given: (home) => {
      home.put(inState('claim'), `committed ${migration}\n`);
      home.put(inState('wanted'), 'other\n');
    },
    then: 'creates',
  },
  {
    name: 'a container whose state does not arrive in time fails, and may wait again',
    given: (home) => home.put('etc/wait-seconds', '1'),
    then: 'refuses',
    says: /did not arrive within 1 s/,
  },
  {
    name: "a stage that was made ready for another container is not this one's",
    given: (home) => {
      home.put('etc/wait-seconds', '1');
      makeReady(home, 'c'.repeat(64));
    },
    then: 'refuses',
    says: /did not arrive within 1 s/,
  },
  { name: 'a container that is ready is restored', given: makeReady, then: 'restores' },
  {
    name: 'a container of CRI-O that is ready is restored',
    annotations: crioAnnotations,
    given: makeReady,
    then: 'restores',
    indent: '\t',
  },
  {
    name: "a pod's annotations that stand only as JSON inside a string count too",
    annotations: {
      'io.kubernetes.pod.uid': podUid,
      'io.kubernetes.container.name': 'main',
      'io.kubernetes.cri-o.ContainerType': 'container',
      'io.kubernetes.cri-o.Annotations': JSON.stringify({
        'lpm.my.domain/migration': migration,
        other: '"x"',
      }),
    },
    given: makeReady,
    then: 'restores',
  },
  {
    name: 'a claim of another migration lets nothing execute',
    given: (home) => {
      makeReady(home);
      mkdirSync(join(home.container, 'attempted/1'), { recursive: true });
      home.put(inState('claim'), `committed ${podUid}\n`);
    },
    then: 'refuses',
    says: /claim: committed/,
  },
];

for (const { name, annotations, more, given, then, says, indent } of table) {
  test(name, async (t) => {
    const it = home(t, annotations, more, indent);
    given?.(it);
    const { code, stderr } = await it.create();
    const creates = it.calls().filter((call) => / create /.test(call));
    assert.equal(code, then === 'refuses' ? 1 : 0, stderr);
    assert.equal(creates.length, then === 'creates' ? 1 : 0, 'plain creates');
    assert.equal(it.executions(), then === 'restores' ? 1 : 0, 'restored and executed');
    if (then === 'creates') {
      assert.equal(
        creates[0],
        `--root /r --log ${join(it.dir, 'log.json')} --log-format json ${createArgs(it.dir, id).join(' ')}`,
      );
    }
    if (says) {
      const entry = JSON.parse(readFileSync(join(it.dir, 'log.json'), 'utf8').trim().split('\n').at(-1)!) as {
        level: string;
        msg: string;
      };
      assert.equal(entry.level, 'error');
      assert.match(entry.msg, says);
      assert.match(stderr, says);
    }
  });
}

test('every other verb goes to the real runtime unchanged', async (t) => {
  const it = home(t);
  await it.run('--root=/r', '--systemd-cgroup', 'kill', '--all', id, '9');
  await it.run('features');
  await it.run('--log', '/dev/null', 'start', id);
  assert.deepEqual(it.calls(), [
    `--root=/r --systemd-cgroup kill --all ${id} 9`,
    'features',
    `--log /dev/null start ${id}`,
  ]);
});

test('start of a restored container succeeds without the runtime, and marks say that it is completed', async (t) => {
  const it = home(t);
  makeReady(it);
  assert.equal((await it.create()).code, 0);
  assert.equal(readFileSync(join(it.pod, 'claim'), 'utf8'), `committed ${migration}\n`);
  assert.match(readFileSync(join(it.container, 'completed'), 'utf8'), new RegExp(id));
  assert.match(readFileSync(join(it.container, 'restored'), 'utf8'), /^\d{19}$/m);
  const before = it.calls().length;
  assert.equal((await it.run('--root', '/r', 'start', id)).code, 0);
  assert.equal(it.calls().length, before);
  await it.run('--root', '/r', 'start', 'b'.repeat(64));
  assert.equal(it.calls().length, before + 1);
});

/** What runc 1.3 says of a container (CRI-O 1.36 reads `status`, and starts only what is "created"). */
const runcState = (status: string): string =>
  JSON.stringify(
    {
      ociVersion: '1.2.1',
      id,
      pid: 4711,
      status,
      bundle: '/b',
      annotations: { note: '"status": "running"' },
    },
    null,
    2,
  );

for (const status of ['running', 'paused']) {
  test(`a restored container that is ${status} counts as created until it is started`, async (t) => {
    const it = home(t, crioAnnotations);
    makeReady(it);
    it.put('fake/state', runcState(status));
    assert.equal((await it.create()).code, 0);
    const asked = async (): Promise<unknown> =>
      JSON.parse((await it.run('--root=/run/crun', 'state', id)).stdout) as unknown;
    assert.deepEqual(await asked(), JSON.parse(runcState('created')));
    assert.equal((await it.run('--root=/run/crun', 'start', id)).code, 0);
    assert.deepEqual(await asked(), JSON.parse(runcState(status)));
  });
}

test('a restored container that has ended before its start is told as it is', async (t) => {
  const it = home(t, crioAnnotations);
  makeReady(it);
  assert.equal((await it.create()).code, 0);
  it.put('fake/state', runcState('stopped'));
  assert.equal((await it.run('state', id)).stdout, runcState('stopped') + '\n');
  rmSync(join(it.dir, 'fake/state'));
  assert.equal((await it.run('state', id)).code, 1);
});

test('conmon with equals signs and crun with its root is understood', async (t) => {
  const it = home(t, crioAnnotations);
  makeReady(it);
  const { code } = await it.run(
    '--root=/run/crun',
    '--systemd-cgroup',
    'create',
    `--bundle=${it.bundle}`,
    '--pid-file=/tmp/p',
    '--no-pivot',
    id,
  );
  assert.equal(code, 0);
  const restore = it.calls().find((call) => call.includes(' restore '));
  assert.ok(restore);
  assert.ok(restore.startsWith('--root=/run/crun --systemd-cgroup restore --detach '), restore);
  assert.ok(restore.endsWith(`--pid-file /tmp/p --no-pivot ${id}`), restore);
});

test('a held restore executes only when the hold ends', async (t) => {
  const it = home(t);
  makeReady(it);
  it.put(inState('hold'));
  const created = it.create();
  await until('it is restored and held', () => existsSync(join(it.container, 'attempted/1/held')));
  assert.equal(it.executions(), 0);
  assert.equal(existsSync(join(it.pod, 'claim')), false);
  rmSync(join(it.pod, 'hold'));
  assert.equal((await created).code, 0);
  assert.equal(it.executions(), 1);
});

test('a held restore that is revoked never executes', async (t) => {
  const it = home(t);
  makeReady(it);
  it.put(inState('hold'));
  const created = it.create();
  await until('it is restored and held', () => existsSync(join(it.container, 'attempted/1/held')));
  claimRevoked(it.pod, migration);
  const { code, stderr } = await created;
  assert.equal(code, 1);
  assert.match(stderr, /taken back/);
  assert.equal(it.executions(), 0);
  assert.equal((await it.create('d'.repeat(64))).code, 1);
  assert.equal(it.executions(), 0);
});

test('a restore whose handler was killed is not committed', async (t) => {
  const it = home(t);
  makeReady(it);
  it.put(inState('hold'));
  const child = it.start('--root', '/r', ...createArgs(it.dir, id));
  await until('it is restored and held', () => existsSync(join(it.container, 'attempted/1/held')));
  child.kill('SIGKILL');
  await until('the orphan ends by itself', () =>
    /handler is gone/.test(readFileSync(join(it.container, 'attempted/1/action.log'), 'utf8')),
  );
  rmSync(join(it.pod, 'hold'));
  assert.equal(existsSync(join(it.pod, 'claim')), false);
  assert.equal(it.executions(), 0);
});

test('a held restore ends at its deadline', async (t) => {
  const it = home(t);
  it.put('etc/wait-seconds', '2');
  makeReady(it);
  it.put(inState('hold'));
  const { code, stderr } = await it.create();
  assert.equal(code, 1);
  assert.match(stderr, /the deadline has passed/);
  assert.equal(it.executions(), 0);
});

test('a restore that fails says where its log is, and is refused from then on', async (t) => {
  const it = home(t);
  makeReady(it);
  it.put('fake/fail-early');
  const first = await it.create();
  assert.equal(first.code, 1);
  assert.match(first.stderr, /boom/);
  assert.match(
    readFileSync(join(it.container, 'failed'), 'utf8'),
    /boom[^]*\nlog .*attempted\/1\/work\/restore\.log/,
  );
  rmSync(join(it.dir, 'fake/fail-early'));
  assert.match((await it.create('d'.repeat(64))).stderr, /never attempted twice/);
  assert.equal(it.executions(), 0);
});

test('a restore that fails after the commit is repeated until it has executed once', async (t) => {
  const it = home(t);
  makeReady(it);
  it.put('fake/fail-late');
  const first = await it.create();
  assert.equal(first.code, 1);
  assert.match(first.stderr, /repeated when the kubelet tries again/);
  assert.equal(it.executions(), 0);
  rmSync(join(it.dir, 'fake/fail-late'));
  makeReady(it, 'd'.repeat(64));
  assert.equal((await it.create('d'.repeat(64))).code, 0);
  assert.equal(it.executions(), 1);
  assert.equal((await it.create('e'.repeat(64))).code, 0);
  assert.equal(it.executions(), 1);
  assert.equal(it.calls().filter((call) => / create /.test(call)).length, 1);
});

test('a runtime that dies while the claim is made lets nothing execute, and the restore is repeated', async (t) => {
  const it = home(t);
  makeReady(it);
  it.put('fake/dies-in-sync');
  const { code, stderr } = await it.create();
  assert.equal(code, 1);
  assert.match(stderr, /after the commit and is repeated .*: the real runtime is gone/);
  assert.equal(readFileSync(join(it.pod, 'claim'), 'utf8'), `committed ${migration}\n`);
  assert.equal(it.executions(), 0);
  assert.equal(existsSync(join(it.container, 'executed')), false);

  rmSync(join(it.dir, 'fake/dies-in-sync'));
  makeReady(it, 'b'.repeat(64));
  assert.equal((await it.create('b'.repeat(64))).code, 0);
  assert.equal(it.executions(), 1);
});

test('a claim that is taken back between commit and execution executes nothing, whatever the runtime answers', async (t) => {
  const it = home(t);
  it.put('fake/slow');
  it.put(inState('wanted'), 'main\n');
  makeReady(it);
  const created = it.create();
  await until('it stands after the commit', () => existsSync(join(it.container, 'attempted/1/claimed')));
  assert.equal(claimRevoked(it.pod, migration).claim, Claim.CLAIM_REVOKED);
  rmSync(join(it.dir, 'fake/slow'));
  const { code, stderr } = await created;
  assert.equal(code, 1);
  assert.match(stderr, /taken back/);
  assert.equal(it.executions(), 0);
  assert.equal(existsSync(join(it.container, 'completed')), false);
  assert.equal((await it.create('d'.repeat(64))).code, 1);
  assert.deepEqual(
    it.calls().filter((call) => / create /.test(call)),
    [],
  );
});

test('once it has executed, the claim cannot be taken back', async (t) => {
  const it = home(t);
  it.put(inState('wanted'), 'main\n');
  makeReady(it);
  assert.equal((await it.create()).code, 0);
  assert.equal(claimRevoked(it.pod, migration).claim, Claim.CLAIM_COMMITTED);
  assert.equal(it.executions(), 1);
});

test('a runtime that answers 0 without having resumed anything completes nothing', async (t) => {
  const it = home(t);
  it.put('fake/forgives');
  it.put('fake/slow');
  it.put(inState('wanted'), 'main\n');
  makeReady(it);
  const created = it.create();
  await until('it stands after the commit', () => existsSync(join(it.container, 'attempted/1/claimed')));
  claimRevoked(it.pod, migration);
  rmSync(join(it.dir, 'fake/slow'));
  const { code, stderr } = await created;
  assert.equal(code, 1);
  assert.match(stderr, /mark was another's/);
  assert.equal(existsSync(join(it.container, 'completed')), false);
  assert.ok(
    it.calls().some((call) => / delete --force /.test(call)),
    'what is left is taken away',
  );
});

test('processes that run although the script before them was killed are marked as executed', async (t) => {
  const it = home(t);
  makeReady(it);
  it.put('fake/no-pre-resume');
  assert.equal((await it.create()).code, 0);
  assert.ok(existsSync(join(it.container, 'executed')) && existsSync(join(it.container, 'restored')));
  assert.equal(claimRevoked(it.pod, migration).claim, Claim.CLAIM_COMMITTED);
});

test('processes that were let go by a CRIU whose runtime had died are not restored a second time', async (t) => {
  const it = home(t);
  makeReady(it);
  it.put('fake/no-pre-resume');
  it.put('fake/lost');
  const { code, stderr } = await it.create();
  assert.equal(code, 1);
  assert.match(stderr, /executed already/);
  assert.equal(it.executions(), 1);

  const next = 'b'.repeat(64);
  makeReady(it, next);
  assert.equal((await it.create(next)).code, 0);
  assert.equal(it.executions(), 1, 'an ordinary create');
  assert.match(it.calls().at(-1) ?? '', / create /);
});

test('of several attempts after the commit only one executes', async (t) => {
  const it = home(t);
  it.put('fake/slow');
  const created: Promise<{ code: number }>[] = [];
  for (const [index, digit] of ['1', '2', '3'].entries()) {
    makeReady(it, digit.repeat(64));
    created.push(it.create(digit.repeat(64)));
    const claimed = join(it.container, `attempted/${index + 1}/claimed`);
    await until(`attempt ${index + 1} stands after the commit`, () => existsSync(claimed));
  }
  rmSync(join(it.dir, 'fake/slow'));
  const codes = (await Promise.all(created)).map(({ code }) => code);
  assert.equal(it.executions(), 1);
  assert.deepEqual(codes.sort(), [0, 1, 1]);
});

test('the real runtime is never the handler itself', async (t) => {
  const it = home(t);
  symlinkSync('lpm-runtime', join(it.dir, 'bin/runc'));
  it.put('etc/runtime', join(it.dir, 'bin/runc'));
  const { code, stderr } = await it.run('state', id);
  assert.equal(code, 1);
  assert.match(stderr, /names lpm-runtime itself/);
});
