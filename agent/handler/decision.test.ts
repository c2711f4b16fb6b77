/** The script that the nodes run decides as decision.ts says, whatever lies on disk. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { atCreate, mayHold, whileWaiting, type HandlerFiles } from './decision.js';

const POD = '11111111-2222-3333-4444-555555555555';
const MIGRATION = '99999999-8888-7777-6666-555555555555';
const OTHER = '99999999-8888-7777-6666-000000000000';
const ID = 'a'.repeat(64);
const FORMER = 'b'.repeat(64);

/** Notes what it was asked for; a restore calls the action script as CRIU does, and is held in what looks like a frozen cgroup. */
const RUNTIME = `#!/bin/sh
case " $* " in
  *" delete "*) exit 0 ;;
  *" create "*) echo creates >"$FAKE/outcome"; exit 0 ;;
  *" restore "*) ;;
  *) exit 0 ;;
esac
script=$(sed -n 's/^action-script //p' "$CRIU_CONFIG_FILE")
sh -c 'CRTOOLS_SCRIPT_ACTION=post-restore "$1" || exit 1' criu "$script" || exit 1
mkdir "$FAKE/cgroup"
echo 1 >"$FAKE/cgroup/cgroup.freeze"
echo "frozen 1" >"$FAKE/cgroup/cgroup.events"
echo "$FAKE/cgroup" >"$LPM_ATTEMPT/frozen"
echo restores >"$FAKE/outcome"
`;

type Outcome = 'creates' | 'restores' | 'refuses';

/** All decisions in a row, when nothing changes meanwhile. */
function expected(files: HandlerFiles): Outcome {
  const decision = atCreate(files);
  if (decision.do === 'create') return 'creates';
  if (decision.do === 'refuse') return 'refuses';
  if (whileWaiting(files, ID, true) !== 'restore') return 'refuses';
  return mayHold(files) ? 'restores' : 'refuses';
}

function scripted(files: HandlerFiles): Outcome {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-decision-'));
  const put = (file: string, content: string): void => {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), content);
  };
  try {
    const pod = `state/pods/${POD}`;
    const container = `${pod}/containers/main`;
    put('fake/runtime', RUNTIME);
    chmodSync(join(dir, 'fake/runtime'), 0o755);
    mkdirSync(join(dir, 'bin'));
    copyFileSync(new URL('lpm-runtime.sh', import.meta.url), join(dir, 'bin/lpm-runtime'));
    chmodSync(join(dir, 'bin/lpm-runtime'), 0o755);
    put('etc/runtime', join(dir, 'fake/runtime'));
    put('etc/state-dir', join(dir, 'state'));
    // One whose state does not come gives up at once; one whose state is there must have time for it.
    put('etc/wait-seconds', whileWaiting(files, ID, true) === 'restore' ? '60' : '0');
    const annotations = {
      'io.kubernetes.cri.sandbox-uid': POD,
      'io.kubernetes.cri.container-name': 'main',
      'io.kubernetes.cri.container-type': 'container',
      'lpm.my.domain/migration': MIGRATION,
    };
    put('bundle/config.json', JSON.stringify({ root: { path: 'rootfs' }, annotations }));
    mkdirSync(join(dir, 'bundle/rootfs'));
    mkdirSync(join(dir, container, 'stage/checkpoint'), { recursive: true });
    if (files.claim !== undefined) put(`${pod}/claim`, `${files.claim}\n`);
    if (files.held !== undefined) put(`${container}/held`, `${files.held}\n`);
    if (files.ready !== undefined) put(`${container}/ready`, `${files.ready}\n`);
    if (files.attempted) mkdirSync(join(dir, container, 'attempted/1'), { recursive: true });
    const { status } = spawnSync(
      join(dir, 'bin/lpm-runtime'),
      ['create', '--bundle', join(dir, 'bundle'), ID],
      { env: { PATH: process.env.PATH, FAKE: join(dir, 'fake') }, timeout: 60_000 },
    );
    const outcome = join(dir, 'fake/outcome');
    if (status !== 0) {
      assert.equal(existsSync(outcome), false, 'it failed, and yet something was started');
      return 'refuses';
    }
    return readFileSync(outcome, 'utf8').trim() as Outcome;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const states: fc.Arbitrary<HandlerFiles> = fc.record({
  claim: fc.constantFrom(
    undefined,
    undefined,
    undefined,
    `committed ${MIGRATION}`,
    `committed ${OTHER}`,
    `revoked ${MIGRATION}`,
    'nonsense',
  ),
  executed: fc.constantFrom(
    undefined,
    undefined,
    undefined,
    `container ${FORMER}\nattempt 1`,
    `container ${ID}\nattempt 1`,
    `revoked ${MIGRATION}`,
  ),
  attempted: fc.boolean(),
  wanted: fc.constantFrom(undefined, 'main', 'main', 'other', 'other\nmain'),
  ready: fc.constantFrom(
    undefined,
    `restore ${MIGRATION}\ncontainer ${ID}`,
    `restore ${MIGRATION}\ncontainer ${ID}`,
    `restore ${MIGRATION}\ncontainer ${FORMER}`,
  ),
});

test('the script decides as is written down for the model, whatever lies on disk', (t) => {
  const seen = { creates: 0, restores: 0, refuses: 0 };
  fc.assert(
    fc.property(states, (files) => {
      const outcome = expected(files);
      seen[outcome]++;
      assert.equal(scripted(files), outcome);
    }),
    { numRuns: 120, seed: 5 },
  );
  t.diagnostic(JSON.stringify(seen));
  for (const count of Object.values(seen)) assert.ok(count >= 5, JSON.stringify(seen));
});
