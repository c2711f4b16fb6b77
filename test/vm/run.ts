/**
 * `npm run test:vm`: what the agent does with cgroups, checked on a node with cgroup v2 alone. The machine that runs the
 * tests may have cgroup v1, so the node is a guest: Debian's kernel in qemu, with the file system of the test cluster's
 * nodes, real containerd, runc and CRIU, and the agent. The guest runs test/vm/guest/scenarios.ts and reports each.
 * `npm run test:vm -- WORDS` runs those whose title contains the words.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureQemu, guestImage, whyNoGuest } from './image.js';
import { writePayload } from './payload.js';
import { startGuest } from './qemu.js';

/** A scenario takes a few seconds; the guest itself gives one up after four minutes. */
const SILENCE_MS = 300_000;
const LIMIT_MS = 15 * 60_000;

const say = (line: string): void => console.error(line);

test('the agent on a node with cgroup v2 alone', { skip: (await whyNoGuest()) ?? false }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-vm-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const qemu = await ensureQemu(say);
  const image = await guestImage(say);
  say('building the agent and the scenarios');
  const payload = await writePayload(dir, process.argv.slice(2));
  say('booting the guest (emulated: about ten times slower than this machine)');
  const guest = startGuest({ qemu, image, payload, dir, silenceMs: SILENCE_MS, limitMs: LIMIT_MS });

  t.after(() => guest.stop());

  const first = await guest.next();
  assert.ok('plan' in first && first.plan.length > 0, 'the guest has something to do');
  say(`the guest is up; ${first.plan.length} scenarios`);
  for (const title of first.plan) {
    await t.test(title, async (t) => {
      const result = await guest.next();
      assert.ok('title' in result && result.title === title, `the guest reports "${title}" next`);
      t.diagnostic(`${(result.milliseconds / 1000).toFixed(1)} s in the guest`);
      for (const note of result.notes) t.diagnostic(note);
      if (result.failure !== undefined) throw new Error(`in the guest: ${result.failure}`);
    });
  }
  assert.deepEqual(await guest.next(), { done: true });
});
