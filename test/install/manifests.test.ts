/** The manifests as a cluster takes them: one set of objects by each way of applying it, accepted by the API servers. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { KINDS } from '../../common/api/kinds.js';
import { AGENT_LABEL, AGENT_PORT, CONTROLLER_LABEL, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { KubeObject } from '../../common/kube/types.js';
import { installYaml } from '../../manifests/install.mjs';
import { bundledManifests } from '../../plugin/install/bundled.js';
import { complete, COMPONENTS, type ComponentName } from '../../plugin/install/components.js';
import { withComponent } from '../../plugin/install/kustomize.js';
import { startTestApiServer } from '../cluster/apiserver/testing.js';
import { repository } from '../cluster/paths.js';
import { must } from '../cluster/run.js';
import { until } from '../support/until.js';
import { skippedWithoutAssets, startRealApiServer } from './real-api-server.js';

const manifests = join(repository, 'manifests');

const objects = (yaml: string): KubeObject[] =>
  parseAllDocuments(yaml).map((document) => document.toJS() as KubeObject);
const nameOf = ({ kind, metadata }: KubeObject): string =>
  [kind, metadata.namespace, metadata.name].filter(Boolean).join('/');
const sorted = (yaml: string): KubeObject[] => objects(yaml).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

interface Workload extends KubeObject {
  spec: {
    template: {
      metadata: { labels: Record<string, string> };
      spec: {
        containers: {
          args: string[];
          env?: { name: string }[];
          ports: { name: string; hostPort?: number }[];
          volumeMounts: { name: string; mountPath: string }[];
        }[];
        volumes: { name: string }[];
      };
    };
  };
}

test('kubectl kustomize and the single file have the same objects', async () => {
  assert.deepEqual(sorted(await must('kubectl', ['kustomize', manifests])), sorted(await installYaml()));
});

test('the workloads have the names of the guide', async () => {
  const all = objects(await installYaml());
  const find = (name: string): Workload => {
    const found = all.find((object) => nameOf(object) === name);
    assert.ok(found, `there is ${name}`);
    return found as Workload;
  };
  const controller = find(`Deployment/${SYSTEM_NAMESPACE}/lpm-controller-manager`);
  const agent = find(`DaemonSet/${SYSTEM_NAMESPACE}/lpm-live-pod-migration-controller-checkpoint-agent`);
  for (const [workload, label] of [
    [controller, CONTROLLER_LABEL],
    [agent, AGENT_LABEL],
  ] as const) {
    const [key = '', value] = label.split('=');
    assert.equal(workload.spec.template.metadata.labels[key], value);
  }
  const { containers, volumes } = agent.spec.template.spec;
  assert.ok(containers[0]?.ports.some(({ hostPort }) => hostPort === AGENT_PORT));
  assert.ok(volumes.some(({ name }) => name === 'checkpoint-repo'));
});

test('there is a sample of every kind', async () => {
  const folder = join(manifests, 'samples');
  const kinds = new Set<string>();
  for (const file of readdirSync(folder)) {
    for (const { kind } of objects(await must('cat', [join(folder, file)]))) kinds.add(kind ?? '');
  }
  for (const kind of Object.keys(KINDS)) assert.ok(kinds.has(kind), kind);
});

/** A kustomization with components, as a user writes one. */
async function withComponents<T>(names: string[], use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'lpm-overlay-'));
  try {
    const path = (...parts: string[]): string => relative(folder, join(manifests, ...parts));
    const kustomization = { resources: [path()], components: names.map((name) => path('components', name)) };
    writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the plugin installs what kustomize makes', () => {
  test('and knows every component by name', async () => {
    assert.deepEqual([...COMPONENTS], readdirSync(join(manifests, 'components')).sort());
    assert.deepEqual([...COMPONENTS], Object.keys((await bundledManifests()).components));
  });

  for (const names of [...COMPONENTS.map((name): ComponentName[] => [name]), [...COMPONENTS]]) {
    test(`with ${names.length === 1 ? names[0] : 'all components'}`, async () => {
      const { objects: base, components } = await bundledManifests();
      const made = complete(names).reduce((sum, name) => withComponent(sum, components[name]!), base);
      const wanted = await withComponents(complete(names), (folder) =>
        must('kubectl', ['kustomize', folder]),
      );
      assert.deepEqual(
        made.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)),
        sorted(wanted),
      );
    });
  }
});

test('with the claim the agents have the repository from it and not from their nodes', async () => {
  const all = objects(
    await withComponents(['checkpoint-repo-claim'], (folder) => must('kubectl', ['kustomize', folder])),
  );
  const agent = all.find(({ kind }) => kind === 'DaemonSet') as Workload;
  assert.deepEqual(
    agent.spec.template.spec.volumes.find(({ name }) => name === 'checkpoint-repo'),
    { name: 'checkpoint-repo', persistentVolumeClaim: { claimName: 'checkpoint-repo' } },
  );
  assert.ok(
    all.some((object) => nameOf(object) === `PersistentVolumeClaim/${SYSTEM_NAMESPACE}/checkpoint-repo`),
  );
});

test('with keys the agents encrypt for the recipients of a Secret and read with its identities', async () => {
  const all = objects(
    await withComponents(['archive-encryption'], (folder) => must('kubectl', ['kustomize', folder])),
  );
  const agent = all.find(({ kind }) => kind === 'DaemonSet') as Workload;
  const [container] = agent.spec.template.spec.containers;
  const [mount] = container!.volumeMounts.filter(({ name }) => name === 'archive-keys');
  for (const what of ['recipients', 'identities']) {
    assert.ok(container!.args.includes(`--archive-${what}=${mount!.mountPath}/${what}`));
  }
  assert.ok(agent.spec.template.spec.volumes.some(({ name }) => name === mount!.name));
});

test('with cert-manager the controller signs with the authority of its Secret', async () => {
  const all = objects(
    await withComponents(['cert-manager'], (folder) => must('kubectl', ['kustomize', folder])),
  );
  const controller = all.find(({ kind }) => kind === 'Deployment') as Workload;
  const certificate = all.find(({ kind }) => kind === 'Certificate') as KubeObject & {
    spec: { secretName: string; isCA: boolean };
  };
  assert.ok(certificate.spec.isCA);
  const [container] = controller.spec.template.spec.containers;
  const mount = container!.volumeMounts.find(({ mountPath }) =>
    container!.args.includes(`--ca-dir=${mountPath}`),
  );
  const volume = controller.spec.template.spec.volumes.find(({ name }) => name === mount?.name) as
    { secret?: { secretName: string } } | undefined;
  assert.equal(volume?.secret?.secretName, certificate.spec.secretName);
});

test('nodes are set up by the agents, and not where somebody does that by hand', async () => {
  const flags = (yaml: string): string[] => {
    const agent = objects(yaml).find(({ kind }) => kind === 'DaemonSet') as Workload;
    return agent.spec.template.spec.containers[0]!.args.filter((arg) => arg.endsWith('setup-node'));
  };
  assert.deepEqual(flags(await installYaml()), ['--setup-node']);
  const byHand = await withComponents(['manual-node-setup'], (folder) =>
    must('kubectl', ['kustomize', folder]),
  );
  assert.deepEqual(flags(byHand), ['--setup-node', '--no-setup-node'], 'the last one counts');
});

test('no variable is set twice', async () => {
  for (const { kind, spec } of objects(await installYaml()) as Workload[]) {
    if (kind !== 'Deployment' && kind !== 'DaemonSet') continue;
    const names = (spec.template.spec.containers[0]!.env ?? []).map(({ name }) => name);
    assert.equal(new Set(names).size, names.length, names.join(' '));
  }
});

test('metrics of every pod are found by the names of its ports', async () => {
  const all = objects(
    await withComponents(['pod-monitor'], (folder) => must('kubectl', ['kustomize', folder])),
  );
  assert.equal(all.filter(({ kind }) => kind === 'PodMonitor').length, 2);
  for (const { kind, spec } of all as Workload[]) {
    if (kind !== 'Deployment' && kind !== 'DaemonSet') continue;
    assert.ok(spec.template.spec.containers[0]?.ports.some(({ name }) => name === 'health'));
  }
});

test('with Services, too, the metrics of every pod are found', async () => {
  const all = objects(
    await withComponents(['service-monitor'], (folder) => must('kubectl', ['kustomize', folder])),
  );
  interface Service extends KubeObject {
    spec: { selector: Record<string, string>; ports: { name: string }[] };
  }
  interface Monitor extends KubeObject {
    spec: { selector: { matchLabels: Record<string, string> }; endpoints: { port: string }[] };
  }
  const services = all.filter(({ kind }) => kind === 'Service') as Service[];
  for (const { metadata, spec } of all.filter(({ kind }) => kind === 'ServiceMonitor') as Monitor[]) {
    const [[key, value]] = Object.entries(spec.selector.matchLabels) as [[string, string]];
    const [service] = services.filter((one) => one.metadata.labels?.[key] === value);
    assert.ok(service, `a Service for ${metadata.name}`);
    assert.ok(service.spec.ports.some(({ name }) => name === spec.endpoints[0]!.port));
    const [[label, of]] = Object.entries(service.spec.selector) as [[string, string]];
    const pods = all.filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet') as Workload[];
    assert.ok(pods.some(({ spec: { template } }) => template.metadata.labels[label] === of));
  }
});

describe('the NFS server of the guide', () => {
  const named = async (): Promise<Map<string, KubeObject>> => {
    const all = objects(
      await withComponents(['checkpoint-repo-claim', 'nfs'], (folder) =>
        must('kubectl', ['kustomize', folder]),
      ),
    );
    return new Map(all.map((object) => [nameOf(object), object]));
  };

  test('has its names, and serves the claim of the repository', async () => {
    const all = await named();
    for (const name of [
      'Job/kube-system/nfs-setup',
      'ConfigMap/kube-system/nfs-setup-script',
      'Deployment/kube-system/nfs-subdir-external-provisioner',
    ]) {
      assert.ok(all.has(name), name);
    }
    const provisioner = all.get('Deployment/kube-system/nfs-subdir-external-provisioner') as Workload;
    assert.equal(provisioner.spec.template.metadata.labels['app'], 'nfs-subdir-external-provisioner');
    const claim = all.get(`PersistentVolumeClaim/${SYSTEM_NAMESPACE}/checkpoint-repo`) as KubeObject & {
      spec: { storageClassName: string };
    };
    assert.ok(all.has(`StorageClass/${claim.spec.storageClassName}`));
  });

  test('its script exports one folder to the clients that it is told, as often as it is called', async () => {
    const { data } = (await named()).get('ConfigMap/kube-system/nfs-setup-script') as KubeObject & {
      data: Record<string, string>;
    };
    const folder = mkdtempSync(join(tmpdir(), 'lpm-nfs-'));
    try {
      const bin = join(folder, 'bin');
      mkdirSync(bin);
      const write = (name: string, text: string) =>
        writeFileSync(join(bin, name), `#!/bin/sh\n${text}`, { mode: 0o755 });
      write('systemctl', 'exit 0\n');
      write('exportfs', 'if [ "$1" = -s ]; then cat "$EXPORTS"/*.exports; fi\n');
      const env = {
        PATH: `${bin}:${process.env.PATH}`,
        CLIENTS: '10.1.2.0/24 10.1.3.4',
        FOLDER: join(folder, 'srv'),
        EXPORTS: join(folder, 'exports.d'),
      };
      for (let time = 0; time < 2; time++) await must('sh', ['-c', data['setup.sh']!], { env });
      const options = '(rw,sync,no_subtree_check,no_root_squash)';
      assert.equal(
        readFileSync(join(folder, 'exports.d/lpm-checkpoints.exports'), 'utf8'),
        `${env.FOLDER} 10.1.2.0/24${options} 10.1.3.4${options}\n`,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('every object and sample is accepted', () => {
  const accepts = async (kubeconfig: string): Promise<void> => {
    const kubectl = (...args: string[]): Promise<string> =>
      must('kubectl', args, { env: { ...process.env, KUBECONFIG: kubeconfig } });
    // What is tried without being made can lie only in a namespace, and be of a kind, that is there.
    await kubectl('apply', '-f', join(manifests, 'namespace.yaml'), '-f', join(manifests, 'crd'));
    await kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
    const strict = ['--dry-run=server', '--validate=strict', '-o', 'name'];
    const made = (await kubectl('apply', ...strict, '-k', manifests)).trim().split('\n');
    assert.equal(made.length, objects(await installYaml()).length, 'every object is named');
    await withComponents(['checkpoint-repo-claim', 'network-policy', 'nfs', 'archive-encryption'], (folder) =>
      kubectl('apply', ...strict, '-k', folder),
    );
    await until('samples are accepted', () => kubectl('apply', ...strict, '-f', join(manifests, 'samples')));
  };

  test('by the API server of the local cluster', async () => {
    const server = await startTestApiServer({ crds: false });
    try {
      await accepts(server.kubeconfig);
    } finally {
      await server.close();
    }
  });

  test('by a real one', { skip: skippedWithoutAssets }, async () => {
    const server = await startRealApiServer();
    try {
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
      await server.kube.json('POST', '/api/v1/namespaces/default/serviceaccounts', { body: account });
      await accepts(server.kubeconfig);
    } finally {
      await server.close();
    }
  });
});
