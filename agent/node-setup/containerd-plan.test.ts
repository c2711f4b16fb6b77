import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LpmError } from '../../common/errors.js';
import {
  containerdPrograms,
  planContainerd as planAround,
  withoutContainerdHandler,
  type ContainerdFacts,
} from './containerd-plan.js';
import type { ConfigFile, Plan } from './plan.js';
import { parseToml, tableAt, type Table } from './toml.js';

const handlerPath = '/opt/lpm/bin/lpm-runtime';
const mainPath = '/etc/containerd/config.toml';
const V2 = 'io.containerd.grpc.v1.cri';
const V3 = 'io.containerd.cri.v1.runtime';

const facts = (
  version: string,
  files: Record<string, string>,
  others: Record<string, string> = {},
): ContainerdFacts => ({
  version,
  mainPath: Object.keys(files)[0] ?? mainPath,
  files: list(files),
  others: list(others),
  handlerPath,
});
const list = (files: Record<string, string>): ConfigFile[] =>
  Object.entries(files).map(([path, text]) => ({ path, text }));

/** With the handler around the program of the runtime of that name, which is the default one's unless it is told. */
const planContainerd = (given: ContainerdFacts, behind: string | undefined = 'runc'): Plan =>
  planAround(given, behind);

/** The file as the plan leaves it. */
const written = ({ changes }: Plan, path: string): string => {
  const change = changes.find((each) => each.path === path);
  assert.ok(
    change?.after !== undefined,
    `${path} is written, of ${changes.map((each) => each.path).join(', ')}`,
  );
  return change.after;
};
const runtimeIn = (text: string, section: string, name = 'lpm'): Table => {
  const table = tableAt(parseToml({ path: 'x', text }), 'plugins', section, 'containerd', 'runtimes', name);
  assert.ok(table, `${name} in ${text}`);
  return table;
};
/** The facts once the plan was carried out. */
const carriedOut = (before: ContainerdFacts, { changes }: Plan, imported: string[] = []): ContainerdFacts => {
  const apply = (files: readonly ConfigFile[]): ConfigFile[] =>
    files.flatMap((file) => {
      const change = changes.find(({ path }) => path === file.path);
      const text = change ? change.after : file.text;
      return text === undefined ? [] : [{ path: file.path, text }];
    });
  const known = [...before.files, ...before.others].map(({ path }) => path);
  const fresh = changes.flatMap(({ path, after }) =>
    known.includes(path) || after === undefined ? [] : [{ path, text: after }],
  );
  const loads = (path: string): boolean => path === before.mainPath || imported.includes(path);
  return {
    ...before,
    files: [
      ...fresh.filter(({ path }) => path === before.mainPath),
      ...apply(before.files),
      ...fresh.filter(({ path }) => path !== before.mainPath && loads(path)),
    ],
    others: [...apply(before.others), ...fresh.filter(({ path }) => !loads(path))],
  };
};
const refusal = (work: () => unknown): LpmError => {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof LpmError, String(error));
    return error;
  }
  assert.fail('it is refused');
};

const debian = `version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
`;
const kubeadm = `# kubeadm's
version = 3
imports = ["/etc/containerd/conf.d/*.toml"]

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  pod_annotations = ["their.own/*"]
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = true
    Root = "/run/their-runc"
`;
const dropIn = '/etc/containerd/conf.d/99-lpm.toml';

describe('the handler in containerd 2', () => {
  test('is registered by a drop-in alone where a folder is imported, like the default runtime but for the program', () => {
    const plan = planContainerd(facts('v2.1.9', { [mainPath]: kubeadm }));
    assert.deepEqual(
      plan.changes.map(({ path }) => path),
      [dropIn],
    );
    assert.deepEqual(runtimeIn(written(plan, dropIn), V3), {
      runtime_type: 'io.containerd.runc.v2',
      pod_annotations: ['their.own/*', 'lpm.my.domain/*'],
      options: { SystemdCgroup: true, Root: '/run/their-runc', BinaryName: handlerPath },
    });
    assert.match(written(plan, dropIn), /^version = 3$/m);
    assert.deepEqual(plan.runtimeRoots, ['/run/their-runc/k8s.io']);
  });

  test('is imported by one line at the top where nothing is imported, and no other file with it', () => {
    const plan = planContainerd(facts('2.1.9', { [mainPath]: debian }));
    assert.deepEqual(
      plan.changes.map(({ path }) => path),
      [dropIn, mainPath],
      'what is imported is there before it is',
    );
    assert.equal(
      written(plan, mainPath),
      `imports = ["/etc/containerd/conf.d/99-lpm*.toml"] # by kubectl-migrate\n${debian}`,
    );
    assert.deepEqual(runtimeIn(written(plan, dropIn), V2), {
      runtime_type: 'io.containerd.runc.v2',
      pod_annotations: ['lpm.my.domain/*'],
      options: { BinaryName: handlerPath },
    });
    assert.match(written(plan, dropIn), /^version = 2$/m, 'the version of the file that imports it');
  });

  test('is added to a list of single files', () => {
    const text = `version = 3\nimports = [ # theirs\n  "/etc/containerd/a.toml",\n]\n`;
    const plan = planContainerd(
      facts('2.1.9', { [mainPath]: text, '/etc/containerd/a.toml': 'version = 3\n' }),
    );
    assert.deepEqual(parseToml({ path: mainPath, text: written(plan, mainPath) }).imports, [
      '/etc/containerd/conf.d/99-lpm*.toml',
      '/etc/containerd/a.toml',
    ]);
    assert.match(written(plan, mainPath), /# theirs/);
  });

  test('goes where a folder of another name is imported, by a relative path too', () => {
    const text = 'version = 3\nimports = ["extra/*.toml"]\n';
    assert.deepEqual(
      planContainerd(facts('2.1.9', { [mainPath]: text })).changes.map(({ path }) => path),
      ['/etc/containerd/extra/99-lpm.toml'],
    );
  });

  const crunDefault = facts('2.1.9', {
    [mainPath]: kubeadm,
    '/etc/containerd/conf.d/10-crun.toml': `version = 3
[plugins."${V3}".containerd]
default_runtime_name = "own"
[plugins."${V3}".containerd.runtimes.own]
runtime_type = "io.containerd.runc.v2"
snapshotter = "their-snapshotter"
[plugins."${V3}".containerd.runtimes.own.options]
BinaryName = "/usr/bin/crun"
Root = "/run/their-crun"
`,
  });

  test('takes what drop-ins say of the default runtime, and the runtime that is the default one', () => {
    const plan = planContainerd(crunDefault, 'own');
    assert.deepEqual(runtimeIn(written(plan, dropIn), V3), {
      runtime_type: 'io.containerd.runc.v2',
      snapshotter: 'their-snapshotter',
      pod_annotations: ['lpm.my.domain/*'],
      options: { BinaryName: handlerPath, Root: '/run/their-crun' },
    });
  });

  test('keeps its containers where runc keeps them when the default runtime is crun', () => {
    assert.deepEqual(containerdPrograms(crunDefault), [
      { runtime: 'own', program: '/usr/bin/crun' },
      { runtime: 'runc', program: 'runc' },
    ]);
    const plan = planContainerd(crunDefault, 'runc');
    const { snapshotter, options } = runtimeIn(written(plan, dropIn), V3);
    assert.equal(snapshotter, 'their-snapshotter');
    assert.deepEqual(options, { BinaryName: handlerPath, Root: '/run/their-runc' });
    assert.deepEqual(plan.runtimeRoots, ['/run/their-crun/k8s.io', '/run/their-runc/k8s.io']);
    const unnamed = planAround(crunDefault, undefined);
    assert.deepEqual(runtimeIn(written(unnamed, dropIn), V3).options, { BinaryName: handlerPath });
  });

  test('is made around runc where the default runtime is a virtual machine', () => {
    const text = `version = 3
[plugins."${V3}".containerd]
default_runtime_name = "kata"
[plugins."${V3}".containerd.runtimes.kata]
runtime_type = "io.containerd.kata.v2"
`;
    const table = runtimeIn(written(planContainerd(facts('2.1.9', { [mainPath]: text })), dropIn), V3);
    assert.equal(table.runtime_type, 'io.containerd.runc.v2');
  });

  test('gets a main file where there is none', () => {
    const plan = planContainerd({ ...facts('2.1.9', {}), mainPath });
    assert.deepEqual(parseToml({ path: mainPath, text: written(plan, mainPath) }), {
      version: 3,
      imports: ['/etc/containerd/conf.d/99-lpm*.toml'],
    });
  });

  test('is left alone where somebody has registered it', () => {
    const text = `${kubeadm}\n[plugins."${V3}".containerd.runtimes.lpm]\nruntime_type = "io.containerd.runc.v2"\n`;
    const plan = planContainerd(facts('2.1.9', { [mainPath]: text }));
    assert.deepEqual([plan.changes, plan.byHand], [[], true]);
  });
});

describe('the handler in containerd 1.7', () => {
  test('is put at the end of the file whose section counts, for a drop-in would replace that section', () => {
    const other = '/etc/containerd/conf.d/cri.toml';
    const plan = planContainerd(
      facts('1.7.24~ds1', {
        [mainPath]: `imports = ["/etc/containerd/conf.d/*.toml"]\n${debian}`,
        [other]: `version = 2
[plugins."${V2}".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."${V2}".containerd.runtimes.runc.options]
SystemdCgroup = true`,
      }),
    );
    assert.deepEqual(
      plan.changes.map(({ path }) => path),
      [other],
    );
    const text = written(plan, other);
    assert.deepEqual(runtimeIn(text, V2).options, { SystemdCgroup: true, BinaryName: handlerPath });
    assert.deepEqual(runtimeIn(text, V2, 'runc').options, { SystemdCgroup: true });
  });

  test('names runc too where nobody does, which containerd would forget otherwise', () => {
    const text = written(planContainerd(facts('1.7.24', { [mainPath]: debian })), mainPath);
    assert.ok(text.startsWith(debian));
    assert.equal(runtimeIn(text, V2, 'runc').runtime_type, 'io.containerd.runc.v2');
    assert.deepEqual(runtimeIn(text, V2).options, { BinaryName: handlerPath });
  });

  test('gets a main file where there is none', () => {
    const plan = planContainerd({ ...facts('1.7.24', {}), mainPath });
    const text = written(plan, mainPath);
    assert.equal(parseToml({ path: mainPath, text }).version, 2);
    assert.ok(runtimeIn(text, V2));
  });
});

describe('the handler in k3s and RKE2', () => {
  const folder = '/var/lib/rancher/k3s/agent/etc/containerd';
  const main = `${folder}/config.toml`;
  const generated = `# File generated by k3s. DO NOT EDIT. Use config-v3.toml.tmpl instead.
version = 3
root = "/var/lib/rancher/k3s/agent/containerd"
[plugins.'${V3}'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'${V3}'.containerd.runtimes.runc.options]
SystemdCgroup = true
`;

  test('is a drop-in where the generated file imports a folder', () => {
    const text = generated.replace('root =', `imports = ["${folder}/config-v3.toml.d/*.toml"]\nroot =`);
    const plan = planContainerd(facts('v2.1.5-k3s1', { [main]: text }));
    assert.deepEqual(
      plan.changes.map(({ path }) => path),
      [`${folder}/config-v3.toml.d/99-lpm.toml`],
    );
  });

  test('is put into the template from which the file is generated, made anew or added to', () => {
    const template = `${folder}/config-v3.toml.tmpl`;
    const made = written(planContainerd(facts('v2.0.2-k3s2', { [main]: generated })), template);
    assert.match(made, /^\{\{ template "base" \. \}\}$/m);
    assert.match(made, /SystemdCgroup = true/);
    const theirs = '{{ template "base" . }}\n[proxy_plugins]\n';
    const plan = planContainerd(facts('v2.0.2-k3s2', { [main]: generated }, { [template]: theirs }));
    assert.ok(written(plan, template).startsWith(theirs));
    const older = planContainerd(
      facts('v1.7.23-k3s2', { [main]: generated.replace('version = 3', 'version = 2').replaceAll(V3, V2) }),
    );
    assert.deepEqual(
      older.changes.map(({ path }) => path),
      [`${folder}/config.toml.tmpl`],
    );
  });

  test('is complete when the file was generated from that template', () => {
    const template = `${folder}/config-v3.toml.tmpl`;
    const made = written(planContainerd(facts('v2.0.2-k3s2', { [main]: generated })), template);
    const anew = made.replace(/^\{\{.*\}\}$/m, generated).replace(/^# Made by.*\n/, '');
    const again = facts('v2.0.2-k3s2', { [main]: anew }, { [template]: made });
    assert.deepEqual(planContainerd(again).changes, []);
    assert.deepEqual(
      withoutContainerdHandler(again).map(({ path, after }) => [path, after]),
      [[template, undefined]],
    );
  });
});

describe('whatever the files are', () => {
  const cases: [string, ContainerdFacts, string[]][] = [
    ['an imported folder', facts('2.1.9', { [mainPath]: kubeadm }), [dropIn]],
    ['nothing imported', facts('2.1.9', { [mainPath]: debian }), [dropIn]],
    ['an empty list of imports', facts('2.1.9', { [mainPath]: 'version = 3\nimports = []\n' }), [dropIn]],
    ['no last line end', facts('1.7.24', { [mainPath]: debian.trimEnd() }), []],
    ['no main file of containerd 2', { ...facts('2.1.9', {}), mainPath }, [dropIn]],
    ['no main file of containerd 1.7', { ...facts('1.7.24', {}), mainPath }, []],
  ];
  for (const [name, before, imported] of cases) {
    test(`a second time nothing is to be done, and taken away all is as it was: ${name}`, () => {
      const after = carriedOut(before, planContainerd(before), imported);
      assert.deepEqual(planContainerd(after).changes, []);
      const removed = carriedOut(after, {
        ...planContainerd(after),
        changes: withoutContainerdHandler(after),
      });
      assert.deepEqual(removed, { ...before, others: [] });
      assert.deepEqual(withoutContainerdHandler(before), []);
    });
  }

  test('a changed default runtime changes the handler', () => {
    const before = facts('2.1.9', { [mainPath]: kubeadm });
    const after = carriedOut(before, planContainerd(before), [dropIn]);
    const files = after.files.map((file) =>
      file.path === mainPath
        ? { ...file, text: file.text.replace('SystemdCgroup = true', 'SystemdCgroup = false') }
        : file,
    );
    const plan = planContainerd({ ...after, files });
    assert.match(written(plan, dropIn), /SystemdCgroup = false/);
  });

  test('what cannot work is refused with what to do', () => {
    assert.match(refusal(() => planContainerd(facts('1.6.20', { [mainPath]: debian }))).message, /too old/);
    assert.match(
      refusal(() => planContainerd(facts('2.1.9', { [mainPath]: 'version = 3\n[plugins\n' }))).message,
      /config\.toml is not valid TOML/,
    );
    assert.match(
      refusal(() => planContainerd(facts('1.7.24', { [mainPath]: 'root = "/x"\n' }))).hint,
      /config migrate/,
    );
    assert.match(
      refusal(() =>
        planContainerd(facts('2.1.9', { [mainPath]: 'version = 2\ndisabled_plugins = ["cri"]\n' })),
      ).message,
      /disabled/,
    );
  });
});
