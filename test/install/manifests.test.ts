/** The manifests as a cluster takes them: one set of objects by each way of applying it, accepted by the API servers. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { KINDS } from '../../common/api/kinds.js';
import { AGENT_LABEL, AGENT_PORT, CONTROLLER_LABEL, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { KubeObject } from '../../common/kube/types.js';
import { installYaml } from '../../manifests/install.mjs';
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
      spec: { containers: { ports: { name: string; hostPort?: number }[] }[]; volumes: { name: string }[] };
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
