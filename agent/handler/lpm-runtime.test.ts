import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
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
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { until } from '../../test/support/until.js';
import { Claim } from '../../proto/gen/lpm/v1/agent.js';
import { claimCommitted, claimRevoked } from '../claim.js';

const podUid = '11111111-2222-3333-4444-555555555555';
const migration = '99999999-8888-7777-6666-555555555555';
/** Cgroups are named after containers, and other files make some too. */
const newId = (): string => randomBytes(32).toString('hex');
const id = newId();
const another = newId();
const skip = process.getuid?.() !== 0 && 'needs root: cgroups and a PID namespace';

/**
 * Stands in for CRIU, in a language that can trace: holds a process by ptrace, calls the action script as CRIU does, from the
 * container's cgroup, and lets the process go.
 */
const fakeCriu = `
my ($init, $script, $cgroup) = @ARGV;
my $fake = $ENV{FAKE};
my $attempt = $ENV{LPM_ATTEMPT};
sub write_to { open(my $file, $_[0], $_[1]) or die "$_[1]: $!"; print $file $_[2]; close $file }
sub act { $ENV{CRTOOLS_SCRIPT_ACTION} = shift; return system($script) == 0 }
sub pause_while { my $on = shift; select(undef, undef, undef, 0.01) while $on->() }
if (-d $cgroup) { write_to(">", "$cgroup/cgroup.procs", $_) for $init, $$ }
$ENV{CRTOOLS_INIT_PID} = $init;
# PTRACE_SEIZE: ends when this program does
my $ptrace = qx(uname -m) =~ /x86_64/ ? 101 : 117;
syscall($ptrace, 0x4206, $init + 0, 0, 0) == 0 or die "ptrace: $!" unless -e "$fake/lets-go";
write_to(">", "$attempt/restoring", "");
pause_while(sub { -e "$fake/slow" });
if (-e "$fake/runtime-dies") {
  my $runtime = getppid;
  kill 9, $runtime;
  pause_while(sub { getppid == $runtime });
}
unless (act("post-restore")) { kill 9, $init; exit 1 }
write_to(">>", "$attempt/work/restore.log", "Running pre-resume scripts\n");
if (-e "$fake/criu-dies") {
  # The script finds that CRIU, which had started it, is gone.
  my $script_pid = fork // die "fork: $!";
  if ($script_pid == 0) {
    $ENV{CRTOOLS_SCRIPT_ACTION} = "pre-resume";
    exec "sh", "-c", 'while kill -0 "$PPID" 2>/dev/null; do :; done; . "$0"', $script;
  }
  pause_while(sub { qx(cat /proc/$script_pid/comm) ne "sh\\n" });
  kill 9, $$;
}
act("pre-resume") unless -e "$fake/no-pre-resume";
if (qx(cat /proc/$init/status 2>/dev/null) =~ /^State:\\s+[^ZX]/m) {
  write_to(">", "$fake/let-go", "");
  pause_while(sub { ! -e "$fake/executed" }) if -e "$fake/no-pre-resume";
}
exit 1 if -e "$fake/lost";
act("post-resume");
`;

/**
 * Stands in for runc: notes how it was called, and for `restore` calls CRIU. What that restores is a process of a PID namespace
 * of its own, which waits and writes "executed" as soon as it may. `kill` and `delete` thaw before they kill, as nobody does,
 * so that what they leave alive for a moment is seen.
 */
const fakeRuntime = `#!/bin/sh
case "$*" in "restore --help") cat "$FAKE/help"; exit ;; esac
echo "$*" >>"$FAKE/calls"
cgroups=/sys/fs/cgroup
[ ! -d /sys/fs/cgroup/freezer ] || cgroups=/sys/fs/cgroup/freezer
case " $* " in
  *" state "*) cat "$FAKE/state"; exit ;;
  *" kill "* | *" delete "*)
    for word do
      cgroup=$cgroups/lpm-$word
      [ -d "$cgroup" ] || continue
      [ ! -e "$cgroup/freezer.state" ] || echo THAWED >"$cgroup/freezer.state"
      [ ! -e "$cgroup/cgroup.freeze" ] || echo 0 >"$cgroup/cgroup.freeze"
      sleep 0.1
      while read -r pid; do kill -9 "$pid"; done <"$cgroup/cgroup.procs"
    done
    exit 0
    ;;
  *" restore "*) ;;
  *) exit 0 ;;
esac
[ ! -e "$FAKE/fail-early" ] || { echo '(0.1) Error (criu/x.c:1): boom' >"$LPM_ATTEMPT/work/restore.log"; exit 1; }
script=$(sed -n 's/^action-script //p' "$CRIU_CONFIG_FILE")
for word do :; done
cgroup=$cgroups/lpm-$word
[ -e "$FAKE/no-cgroup" ] || mkdir "$cgroup"
# Nothing but builtins: a child would not be traced.
unshare --pid --fork sh -c 'until [ -e "$FAKE/let-go" ]; do :; done; echo "$LPM_ATTEMPT" >>"$FAKE/executed"; exec sleep 60' \\
  </dev/null >/dev/null 2>&1 &
until init=$(cat "/proc/$!/task/$!/children") && [ -n "$init" ]; do :; done
perl "$FAKE/criu.pl" "\${init% }" "$script" "$cgroup"
`;

/** From `restore --help` of runc 1.3 and crun 1.28, as far as the two differ in what matters. */
const runcHelp = `
   --detach, -d                  detach from the container's process
   --no-subreaper                disable the use of the subreaper used to reap reparented processes
   --no-pivot                    do not use pivot root to jail process inside rootfs.
`;
const crunHelp = `
  -d, --detach               detach from the container's process
      --tcp-close            allow closed tcp connections
`;

/** Ends what a test has left in its cgroups. */
const tidyUp = `
for cgroup in /sys/fs/cgroup/lpm-$1 /sys/fs/cgroup/freezer/lpm-$1; do
  [ -d "$cgroup" ] || continue
  for pid in $(cat "$cgroup/cgroup.procs"); do kill -9 "$pid"; done
  [ ! -e "$cgroup/freezer.state" ] || echo THAWED >"$cgroup/freezer.state"
  until rmdir "$cgroup"; do sleep 0.01; done
done 2>/dev/null
`;

/** Sets or looks at the freezer of a container. */
const freezerFile = (containerId: string): { file: string; frozen: string; thawed: string } =>
  existsSync('/sys/fs/cgroup/freezer')
    ? {
        file: `/sys/fs/cgroup/freezer/lpm-${containerId}/freezer.state`,
        frozen: 'FROZEN',
        thawed: 'THAWED',
      }
    : { file: `/sys/fs/cgroup/lpm-${containerId}/cgroup.freeze`, frozen: '1', thawed: '0' };
const isFrozen = (containerId = id): boolean => {
  const { file, frozen } = freezerFile(containerId);
  return readFileSync(file, 'utf8').trim() === frozen;
};
const thaw = (containerId = id): void => {
  const { file, thawed } = freezerFile(containerId);
  writeFileSync(file, thawed);
};

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
  /** What is left in the container's cgroup, once what was killed is gone. */
  processes(): Promise<string[]>;
}

function home(
  t: TestContext,
  annotations: Record<string, string> = containerdAnnotations,
  more: object = {},
  indent = '',
): Home {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-handler-'));
  t.after(() => {
    for (const each of [id, another]) execFileSync('sh', ['-c', tidyUp, 'sh', each]);
    rmSync(dir, { recursive: true, force: true });
  });
  const put = (file: string, content = ''): void => {
    mkdirSync(join(dir, file, '..'), { recursive: true });
    writeFileSync(join(dir, file), content);
  };
  mkdirSync(join(dir, 'bin'));
  copyFileSync(new URL('lpm-runtime.sh', import.meta.url), join(dir, 'bin/lpm-runtime'));
  chmodSync(join(dir, 'bin/lpm-runtime'), 0o755);
  put('fake/criu.pl', fakeCriu);
  put('fake/runtime', fakeRuntime);
  chmodSync(join(dir, 'fake/runtime'), 0o755);
  put('fake/help', runcHelp);
  put('etc/runtime', join(dir, 'fake/runtime'));
  put('etc/state-dir', join(dir, 'state'));
  // Long, for busy machines; the tests of the deadline itself shorten it.
  put('etc/wait-seconds', '60');
  mkdirSync(join(dir, 'bundle/rootfs'), { recursive: true });
  put('bundle/config.json', JSON.stringify({ root: { path: 'rootfs' }, annotations, ...more }, null, indent));
  const start = (...args: string[]): ChildProcess =>
    spawn(join(dir, 'bin/lpm-runtime'), args, {
      env: { PATH: process.env.PATH, FAKE: join(dir, 'fake') },
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
    processes: async () => {
      const { file } = freezerFile(id);
      const left = (): string[] =>
        readFileSync(join(file, '../cgroup.procs'), 'utf8').split('\n').filter(Boolean);
      await until('what was killed is gone', () => left().length === 0, { timeoutMs: 3000 }).catch(() => {});
      return left();
    },
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
function makeReady({ put, container, dir, pod }: Home, containerId = id): void {
  const at = container.slice(dir.length + 1);
  if (!existsSync(join(pod, 'wanted'))) put(inState('wanted'), 'main\n');
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
    name: 'a restore that was attempted is never attempted again',
    given: (home) => {
      makeReady(home);
      mkdirSync(join(home.container, 'attempted'));
    },
    then: 'refuses',
    says: /never attempted twice/,
  },
  {
    name: 'a container that was restored and let go is created like any other',
    given: (home) => {
      makeReady(home);
      mkdirSync(join(home.container, 'attempted/1'), { recursive: true });
      home.put(inState('claim'), `committed ${migration}\n`);
      home.put(inState('containers/main/held'), `container ${another}\ncgroup /x\n`);
    },
    then: 'creates',
  },
  {
    name: 'a container that executed although its handler was killed is created like any other',
    given: (home) => {
      makeReady(home);
      mkdirSync(join(home.container, 'attempted/1'), { recursive: true });
      home.put(inState('claim'), `committed ${migration}\n`);
    },
    then: 'creates',
  },
  {
    name: 'a claim without words is refused',
    given: (home) => {
      makeReady(home);
      home.put(inState('claim'), '');
    },
    then: 'refuses',
    says: /cannot be read/,
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
      makeReady(home, another);
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
];

/** What is held stands still, although CRIU has let it go, and executes once it is thawed. */
async function heldUntilThawed(it: Home, containerId = id): Promise<void> {
  const held = readFileSync(join(it.container, 'held'), 'utf8');
  assert.match(held, new RegExp(`^container ${containerId}\ncgroup /sys/fs/cgroup/.*lpm-${containerId}\n$`));
  assert.ok(isFrozen(containerId));
  assert.equal(existsSync(join(it.container, 'waiting')), false);
  assert.equal(existsSync(join(it.pod, 'claim')), false);
  assert.equal(it.executions(), 0);
  thaw(containerId);
  await until('it executes', () => it.executions() === 1);
}

for (const { name, annotations, more, given, then, says, indent } of table) {
  test(name, { skip: then === 'restores' && skip }, async (t) => {
    const it = home(t, annotations, more, indent);
    given?.(it);
    const { code, stderr } = await it.create();
    const creates = it.calls().filter((call) => / create /.test(call));
    assert.equal(code, then === 'refuses' ? 1 : 0, stderr);
    assert.equal(creates.length, then === 'creates' ? 1 : 0, 'plain creates');
    assert.equal(it.executions(), 0, 'nothing executes by itself');
    if (then === 'restores') await heldUntilThawed(it);
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

test('start of a held container succeeds without the runtime', { skip }, async (t) => {
  const it = home(t);
  makeReady(it);
  assert.equal((await it.create()).code, 0);
  const before = it.calls().length;
  assert.equal((await it.run('--root', '/r', 'start', id)).code, 0);
  assert.equal(it.calls().length, before);
  assert.equal(it.executions(), 0);
  await it.run('--root', '/r', 'start', another);
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
  test(
    `a restored container that is ${status} counts as created until it is started, and as running as long as it is held`,
    { skip },
    async (t) => {
      const it = home(t, crioAnnotations);
      makeReady(it);
      it.put('fake/state', runcState(status));
      assert.equal((await it.create()).code, 0);
      const asked = async (): Promise<unknown> =>
        JSON.parse((await it.run('--root=/run/crun', 'state', id)).stdout) as unknown;
      assert.deepEqual(await asked(), JSON.parse(runcState('created')));
      assert.equal((await it.run('--root=/run/crun', 'start', id)).code, 0);
      assert.deepEqual(await asked(), JSON.parse(runcState('running')));
      claimCommitted(it.pod, migration);
      assert.deepEqual(await asked(), JSON.parse(runcState(status)));
    },
  );
}

test('a restored container that has ended before its start is told as it is', { skip }, async (t) => {
  const it = home(t, crioAnnotations);
  makeReady(it);
  assert.equal((await it.create()).code, 0);
  it.put('fake/state', runcState('stopped'));
  assert.equal((await it.run('state', id)).stdout, runcState('stopped') + '\n');
  rmSync(join(it.dir, 'fake/state'));
  assert.equal((await it.run('state', id)).code, 1);
});

test('conmon with equals signs and crun with its root is understood', { skip }, async (t) => {
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
  assert.ok(restore.endsWith(`--pid-file /tmp/p --no-pivot --no-subreaper ${id}`), restore);
});

test('crun is given its own flags, and none that only runc knows', { skip }, async (t) => {
  const it = home(t, crioAnnotations);
  makeReady(it);
  it.put('fake/help', crunHelp);
  const { code } = await it.run('--root=/run/crun', 'create', `--bundle=${it.bundle}`, '--no-pivot', id);
  assert.equal(code, 0);
  const restore = it.calls().find((call) => call.includes(' restore ')) ?? '';
  assert.ok(restore.endsWith(` --tcp-close ${id}`), restore);
  assert.doesNotMatch(restore, /--no-(subreaper|pivot)/);
});

test('a restore that is revoked meanwhile never executes', { skip }, async (t) => {
  const it = home(t);
  it.put('fake/slow');
  makeReady(it);
  const created = it.create();
  await until('it restores', () => existsSync(join(it.container, 'attempted/1/restoring')));
  claimRevoked(it.pod, migration);
  rmSync(join(it.dir, 'fake/slow'));
  const { code, stderr } = await created;
  assert.equal(code, 1);
  assert.match(stderr, /taken back/);
  assert.equal((await it.create(another)).code, 1);
  assert.equal(it.executions(), 0);
  assert.equal(existsSync(join(it.container, 'held')), false);
});

test('a restore whose handler was killed holds nothing', { skip }, async (t) => {
  const it = home(t);
  it.put('fake/slow');
  makeReady(it);
  const child = it.start('--root', '/r', ...createArgs(it.dir, id));
  await until('it restores', () => existsSync(join(it.container, 'attempted/1/restoring')));
  child.kill('SIGKILL');
  await once(child, 'exit');
  rmSync(join(it.dir, 'fake/slow'));
  await until('the orphan ends by itself', () =>
    /handler is gone/.test(readFileSync(join(it.container, 'attempted/1/action.log'), 'utf8')),
  );
  assert.equal(existsSync(join(it.pod, 'claim')), false);
  assert.equal(it.executions(), 0);
});

test('a restore whose runtime was killed holds nothing', { skip }, async (t) => {
  const it = home(t);
  it.put('fake/runtime-dies');
  makeReady(it);
  const { code, stderr } = await it.create();
  assert.equal(code, 1);
  assert.match(stderr, /the real runtime is gone|exit code 137/);
  assert.equal(existsSync(join(it.pod, 'claim')), false);
  assert.equal(it.executions(), 0);
});

test('a restore that takes longer than its deadline holds nothing', { skip }, async (t) => {
  const it = home(t);
  it.put('etc/wait-seconds', '1');
  it.put('fake/slow');
  makeReady(it);
  const created = it.create();
  await until('it restores', () => existsSync(join(it.container, 'attempted/1/restoring')));
  const uptime = (): number => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  const late = uptime() + 2;
  await until('the deadline has passed', () => uptime() > late);
  rmSync(join(it.dir, 'fake/slow'));
  const { code, stderr } = await created;
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
  assert.match((await it.create(another)).stderr, /never attempted twice/);
  assert.equal(it.executions(), 0);
});

test('what cannot be frozen is killed before it executes', { skip }, async (t) => {
  const it = home(t);
  it.put('fake/no-cgroup');
  makeReady(it);
  const { code, stderr } = await it.create();
  assert.equal(code, 1);
  assert.match(stderr, /could not be held/);
  assert.equal(it.executions(), 0);
  assert.equal(existsSync(join(it.pod, 'claim')), false, 'so the source may run on');
});

test(
  'what CRIU has let go before it was frozen is committed, and is not there any more',
  { skip },
  async (t) => {
    const it = home(t);
    it.put('fake/lets-go');
    makeReady(it);
    const { code, stderr } = await it.create();
    assert.equal(code, 1);
    assert.match(stderr, /let go before it was frozen/);
    assert.equal(claimRevoked(it.pod, migration).claim, Claim.CLAIM_COMMITTED);
    assert.deepEqual(await it.processes(), []);
  },
);

test('what a CRIU that is killed before it is moved has let go is committed', { skip }, async (t) => {
  const it = home(t);
  it.put('fake/criu-dies');
  makeReady(it);
  assert.equal((await it.create()).code, 1);
  assert.equal(claimRevoked(it.pod, migration).claim, Claim.CLAIM_COMMITTED);
  assert.deepEqual(await it.processes(), []);
});

test('what executes because a script was killed is committed on the spot', { skip }, async (t) => {
  const it = home(t);
  it.put('fake/no-pre-resume');
  makeReady(it);
  assert.equal((await it.create()).code, 0);
  assert.equal(it.executions(), 1);
  assert.equal(claimRevoked(it.pod, migration).claim, Claim.CLAIM_COMMITTED);
  assert.match(readFileSync(join(it.container, 'held'), 'utf8'), new RegExp(id));
});

test('a part of a pod that executes because a script was killed is ended', { skip }, async (t) => {
  const it = home(t);
  it.put('fake/no-pre-resume');
  it.put(inState('wanted'), 'main\nother\n');
  makeReady(it);
  assert.equal((await it.create()).code, 1);
  assert.equal(existsSync(join(it.pod, 'claim')), false);
  assert.deepEqual(await it.processes(), []);
});

test('what a CRIU whose runtime had died let go is not restored a second time', { skip }, async (t) => {
  const it = home(t);
  it.put('fake/no-pre-resume');
  it.put('fake/lost');
  makeReady(it);
  const { code, stderr } = await it.create();
  assert.equal(code, 1);
  assert.match(stderr, /executed already/);
  assert.equal(claimRevoked(it.pod, migration).claim, Claim.CLAIM_COMMITTED);
  assert.deepEqual(await it.processes(), []);

  assert.equal((await it.create(another)).code, 0);
  assert.match(it.calls().at(-1) ?? '', / create /, 'an ordinary create');
  assert.equal(it.executions(), 1);
});

for (const [verb, ...words] of [
  ['kill', 'KILL'],
  ['kill', '9'],
  ['delete', '--force'],
] as const) {
  test(`${verb} ${words.join(' ')} of what is held ends it before it executes`, { skip }, async (t) => {
    const it = home(t);
    makeReady(it);
    assert.equal((await it.create()).code, 0);
    const said = verb === 'kill' ? [verb, id, ...words] : [verb, ...words, id];
    assert.equal((await it.run('--root', '/r', ...said)).code, 0);
    assert.equal(it.calls().at(-1), `--root /r ${said.join(' ')}`);
    assert.deepEqual(await it.processes(), []);
    assert.equal(it.executions(), 0);
  });
}

test(
  'a restored container that its runtime has lost is taken away before the next is created',
  { skip },
  async (t) => {
    const it = home(t);
    makeReady(it);
    assert.equal((await it.create()).code, 0);
    claimCommitted(it.pod, migration);
    assert.equal((await it.create(another)).code, 0);
    assert.match(it.calls().at(-1) ?? '', / create /);
    assert.deepEqual(await it.processes(), []);
  },
);

test('the real runtime is never the handler itself', async (t) => {
  const it = home(t);
  symlinkSync('lpm-runtime', join(it.dir, 'bin/runc'));
  it.put('etc/runtime', join(it.dir, 'bin/runc'));
  const { code, stderr } = await it.run('state', id);
  assert.equal(code, 1);
  assert.match(stderr, /names lpm-runtime itself/);
});
