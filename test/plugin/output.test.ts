/** What -o prints, beside what the real kubectl prints of the same objects. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import type { KubeObject } from '../../common/kube/types.js';
import { readFormat, OBJECT_FORMATS, type ObjectFormat } from '../../plugin/output/format.js';
import { printList, printObject } from '../../plugin/output/print.js';
import { sortBy } from '../../plugin/output/sort-by.js';
import { inParallel } from '../../plugin/several/in-parallel.js';
import { kubectl, missing } from './programs.js';
import { startWorld, type World } from './world.js';

/** Formats for one object. */
const ONE = [
  'jsonpath={.metadata.name}',
  "jsonpath={.metadata['name']} of {.spec.podName}",
  'jsonpath={.status.conditions[*].type}',
  'jsonpath={.status.conditions[0]}',
  'jsonpath={.status.conditions[-1].type}',
  'jsonpath={.status.conditions[0:2].type}',
  'jsonpath={.status.conditions[-2:].type}',
  'jsonpath={.status.conditions[::2].type}',
  'jsonpath={.status.conditions[0,2].type}',
  'jsonpath={.status.conditions[?(@.status=="True")].type}',
  "jsonpath={.status.conditions[?(@.status!='True')].reason}",
  'jsonpath={.status.steps[?(@.milliseconds>100)].name}',
  'jsonpath={.status.steps[?(@.milliseconds<=34)].name}',
  'jsonpath={.status.steps[?(@.name<"Dump")].milliseconds}',
  'jsonpath={.status.conditions[?(@.observedGeneration)].type}',
  'jsonpath={range .status.steps[*]}{.name}{"\\t"}{.milliseconds} ms{"\\n"}{end}',
  "jsonpath={range .status.steps[*]}{.name}{','}{end}all",
  'jsonpath={range .status.nothing[*]}{.name}{"\\n"}{end}none',
  'jsonpath={range .status.conditions[?(@.type=="Complete")]}{.reason}{end}',
  'jsonpath={.status.steps}',
  'jsonpath={.spec}',
  'jsonpath={..milliseconds}',
  'jsonpath={.only.*}{.status.conditions.*}',
  'jsonpath={.metadata.annotations.example\\.com/note}',
  "jsonpath={.metadata.annotations['example\\.com/note']}",
  'jsonpath={.spec.timeoutSeconds} {.spec.cancel}',
  "jsonpath={.spec['podName', 'targetNode']}",
  'jsonpath={$.kind}{" "}{@.apiVersion}',
  'jsonpath=.metadata.name',
  'jsonpath=plain text',
  'jsonpath={.missing.field}',
  'jsonpath={"quoted \\"inside\\""}',
  'jsonpath-as-json={.status.conditions[*].type}',
  'jsonpath-as-json={.metadata.annotations}',
  'jsonpath-as-json={.missing}',
  'custom-columns=NAME:.metadata.name,TO:.spec.targetNode',
  'custom-columns=A:{.metadata.name},LABELS:metadata.labels,STEPS:.status.steps[*].name,NONE:.status.none',
  'custom-columns=SPEC:.spec,STEP:.status.steps[0],ALL:.status.steps',
  'name',
  'json',
] as const;
/** Formats for a list. */
const SEVERAL = [
  [
    'jsonpath={.items[*].metadata.name}',
    '{range .items[*]}{.metadata.name}{":"}{range .status.steps[*]}{" "}{.name}{end}{"\\n"}{end}',
    '{.items[?(@.spec.targetNode=="k8s-master")].metadata.name} {.kind}',
  ].join('\n|\n') as `jsonpath=${string}`,
  'custom-columns=NAME:.metadata.name,MS:.status.downtimeMilliseconds,LAST:.spec.podName',
  'name',
] as const;
/** What is refused with these words. kubectl is not asked about all: a call of it takes long. */
const WRONG: [format: string, said: RegExp, byBoth?: true][] = [
  ['jsonpath={.status.steps[9]}', /array index out of bounds: index 9, length 2/, true],
  ['jsonpath={.metadata.name', /unclosed action/, true],
  ['jsonpath={.status.steps[?(@.name=="Dump"]}', /unterminated filter/],
  ['jsonpath={.metadata.name[0]}', /string is not array or slice/],
  ['jsonpath={end}', /not in range, nothing to end/],
  ['jsonpath={.status.steps[a]}', /invalid array index a/, true],
  ['custom-columns=NAME', /"NAME" is no column/],
];

describe('-o prints what the real kubectl prints', { skip: await missing('kubectl') }, () => {
  let world: World;
  let folder: string;
  const list: KubeObject[] = [];
  const ask = async (...args: string[]) => {
    const { code, stdout, stderr } = await kubectl(['get', 'podmigrations', ...args], {
      links: '',
      kubeconfig: world.kubeconfig,
      // kubectl keeps there what it has found out about the cluster.
      env: { HOME: folder },
    });
    return { code, stdout, stderr };
  };
  before(async () => {
    world = await startWorld();
    folder = await mkdtemp(join(tmpdir(), 'lpm-output-'));
    const { podMigrations } = world.client;
    for (const [index, pod] of ['pod-10', 'pod-9', 'alpha'].entries()) {
      await podMigrations.create(
        {
          apiVersion: 'lpm.my.domain/v1',
          kind: 'PodMigration',
          metadata: {
            name: `m-${pod}`,
            namespace: 'default',
            labels: { app: 'counter', tier: 'one' },
            annotations: { 'example.com/note': 'a <b> & "c"', other: 'x' },
          },
          spec: { podName: pod, ...(index === 1 ? {} : { targetNode: 'k8s-master' }) },
        },
        'default',
      );
      if (index === 2) continue;
      const condition = (type: string, status: 'True' | 'False', more = {}) => ({
        ...{ type, status, reason: `${type}Reason`, message: 'Said.' },
        ...{ lastTransitionTime: '2026-11-23T16:00:01Z', ...more },
      });
      await podMigrations.patchStatus(`m-${pod}`, 'default', {
        phase: 'Succeeded',
        downtimeMilliseconds: 1000 - index * 900,
        steps: [
          { name: 'Freeze', milliseconds: 34 },
          { name: 'Dump', milliseconds: 180 },
        ],
        conditions: [
          condition('Accepted', 'True', { observedGeneration: 1 }),
          condition('Stuck', 'False'),
          condition('Complete', 'True'),
        ],
      });
    }
    list.push(...(JSON.parse((await ask('-o', 'json')).stdout) as { items: PodMigration[] }).items);
  });
  after(async () => {
    await rm(folder, { recursive: true });
    await world.close();
  });
  const first = () => list.find(({ metadata }) => metadata.name === 'm-pod-10')!;
  const resource = 'podmigration.lpm.my.domain';

  test('of one object and of several', async () => {
    const file = join(folder, 'template');
    await writeFile(file, '{.metadata.name}{"\\n"}');
    const columns = join(folder, 'columns');
    await writeFile(columns, 'NAME            POD\n.metadata.name  .spec.podName\n');
    const template = (format: string) => /^jsonpath=(.*)$/s.exec(format)?.[1];
    // All templates of one object in one call: each call of kubectl costs as much as a hundred templates.
    const together = ONE.map(template).filter((each) => each !== undefined);
    const single = ONE.filter((format) => template(format) === undefined);
    const cases: { name: string[]; format: string; ours: () => Promise<string> }[] = [
      ...[
        `jsonpath=${together.join('\n|\n')}`,
        ...single,
        `jsonpath-file=${file}`,
        `custom-columns-file=${columns}`,
      ].map((format) => ({
        name: ['m-pod-10'],
        format,
        ours: () => printObject(first(), format as ObjectFormat, resource),
      })),
      ...SEVERAL.map((format) => ({ name: [], format, ours: () => printList(list, format, resource) })),
    ];
    await inParallel(cases, 4, async ({ name, format, ours }) => {
      const { code, stdout, stderr } = await ask(...name, '-o', format);
      assert.equal(code, 0, `${format}: ${stderr}`);
      assert.equal(await ours(), stdout, format);
    });
  });

  test('what it refuses is refused, in the same words where it has some', async () => {
    await inParallel(WRONG, 4, async ([format, said, byBoth]) => {
      if (byBoth) assert.notEqual((await ask('m-pod-10', '-o', format)).code, 0, format);
      await assert.rejects(printObject(first(), format as ObjectFormat, resource), said, format);
    });
    for (const format of ['xml', 'json=1', 'jsonpath', 'jsonpath=', 'wide=x']) {
      assert.throws(() => readFormat(format, OBJECT_FORMATS), /-o /, format);
    }
  });

  test('--sort-by sorts as kubectl does', async () => {
    const names = (items: readonly KubeObject[]) => items.map(({ metadata }) => metadata.name);
    for (const path of ['{.spec.podName}', 'status.downtimeMilliseconds']) {
      const { stdout } = await ask('--sort-by', path, '-o', 'jsonpath={.items[*].metadata.name}');
      assert.deepEqual(names(sortBy(list, path)), stdout.split(' '), path);
    }
    assert.throws(() => sortBy(list, '.spec.nothing'), /None of them has a field "\.spec\.nothing"/);
  });
});
