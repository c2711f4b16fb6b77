import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { Container, PodSandbox } from '../proto/gen/runtime/v1/cri.js';
import type { Context } from './context.js';
import { cgroupsAmong, everyContainerCgroup } from './thaw.js';

const id = (letter: string): string => letter.repeat(64);
const [sandbox, known, creating] = [id('a'), id('b'), id('c')];

/** A pod's folder as CRI-O's cgroup managers make it, and a runtime that tells of the sandbox and one container only. */
const layouts: [name: string, children: string[]][] = [
  ['cgroupfs', [`crio-${sandbox}`, `crio-${known}`, `crio-${creating}`]],
  [
    'systemd',
    [
      `crio-${sandbox}.scope`,
      `crio-${known}.scope`,
      `crio-conmon-${known}.scope`,
      `crio-${creating}.scope`,
      `crio-conmon-${creating}.scope`,
    ],
  ],
];
for (const [name, children] of layouts) {
  test(`with ${name}, a container that CRI-O is still creating is found by its cgroup`, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'lpm-pod-cgroup-'));
    t.after(() => rmSync(dir, { recursive: true }));
    for (const child of children) mkdirSync(join(dir, child));
    const containers = [{ id: known, metadata: { name: 'main', attempt: 0 } }] as Container[];
    const cri = {
      containers: () => Promise.resolve(containers),
      sandboxes: () => Promise.resolve([{ id: sandbox } as PodSandbox]),
    };
    const pod = { version: 1, dir } as const;

    const found = await everyContainerCgroup({ cri } as unknown as Context, 'uid', pod);

    assert.deepEqual(
      found.map((each) => [each.name, each.containerId, basename(each.cgroup.dir)]),
      [
        ['main', known, children[1]],
        ['', creating, children.at(name === 'systemd' ? 3 : 2)],
      ],
    );
    assert.deepEqual(
      cgroupsAmong(containers, pod).map(({ containerId }) => containerId),
      [known],
    );
  });
}
