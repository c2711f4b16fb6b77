import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ContainerCheckpointContent, PodCheckpoint, PodMigration } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import { healthy } from '../doctor/healthy.testing.js';
import type { DaemonSet } from '../doctor/objects.js';
import { bundledManifests } from '../install/bundled.js';
import { deletionSteps } from './delete-manifests.js';
import type { Inventory } from './inventory.js';
import { archivesLeft, judgeUninstall, neededOn, stakes } from './judge.js';
import { takingBack } from './take-back-nodes.js';

const nothing: Inventory = {
  installed: true,
  migrations: [],
  podCheckpoints: [],
  containerCheckpoints: [],
  podContents: [],
  containerContents: [],
  restored: [],
  controllerWorks: true,
  daemonSet: undefined,
  nodes: [],
};
const migration = (phase: string): PodMigration =>
  ({
    metadata: { name: 'm1', namespace: 'shop' },
    spec: { podName: 'counter' },
    status: { phase },
  }) as PodMigration;
const restored = [{ metadata: { name: 'counter-restored', namespace: 'shop' } } as Pod];
const content = (deletionPolicy: 'Delete' | 'Retain') =>
  ({
    metadata: { name: 'c' },
    spec: { deletionPolicy, artifactURI: 'shared://a.tar', nodeName: 'k8s-worker' },
  }) as ContainerCheckpointContent;
const careful = { keepCheckpoints: false, force: false };
const forced = { keepCheckpoints: false, force: true };

describe('an uninstallation', () => {
  test('is refused while a migration is under way, unless it is forced', () => {
    const found = { ...nothing, migrations: [migration('RestoreInProgress')] };
    assert.throws(() => judgeUninstall(found, careful), /^CliError: A migration is under way: shop\/m1\.$/);
    judgeUninstall(found, forced);
    assert.match(stakes(found, forced).join(' '), /1 migration that is under way is rolled back/);
  });

  test('is refused while restored pods need the handler, unless it is forced', () => {
    assert.throws(
      () => judgeUninstall({ ...nothing, restored }, careful),
      /A restored pod still needs the runtime handler: shop\/counter-restored\./,
    );
    judgeUninstall({ ...nothing, restored }, forced);
  });

  test('does not mind what has ended', () => {
    judgeUninstall({ ...nothing, migrations: [migration('Succeeded'), migration('Failed')] }, careful);
  });

  test('says beforehand what becomes of checkpoints and their archives', () => {
    const found = {
      ...nothing,
      podCheckpoints: [{ metadata: { name: 'c1', uid: 'u' } } as PodCheckpoint],
      containerContents: [content('Delete'), content('Retain')],
    };
    const said = stakes(found, careful).join(' ');
    assert.match(said, /1 checkpoint and the archives are deleted; to keep them: --keep-checkpoints\./);
    assert.match(said, /1 archive with the policy Retain stay/);
    assert.match(
      stakes(found, { ...careful, keepCheckpoints: true }).join(' '),
      /1 checkpoint stay, and the archives\./,
    );
    assert.match(
      stakes({ ...found, controllerWorks: false }, careful).join(' '),
      /The controller does not work, so archives stay where they lie\./,
    );
    assert.deepEqual(archivesLeft(found, true), ['shared://a.tar (k8s-worker)']);
    assert.equal(archivesLeft(found, false).length, 2);
  });

  test('deletes programs first, then what they need, then the namespace, and the CRDs last', async () => {
    const steps = deletionSteps(await bundledManifests(), { crds: false, claim: false });
    const kinds = steps.map((step) => [...new Set(step.map(({ kind }) => kind))].sort());
    assert.deepEqual(kinds[0], ['DaemonSet', 'Deployment', 'Job']);
    assert.deepEqual(kinds[1], ['PersistentVolumeClaim']);
    assert.ok(kinds[2]!.includes('RuntimeClass') && kinds[2]!.includes('ClusterRole'));
    // What provides the claim's volume goes after the claim.
    assert.ok(
      steps[2]!.some(({ kind, metadata }) => kind === 'Deployment' && metadata.namespace === 'kube-system'),
    );
    assert.deepEqual(kinds[3], ['Namespace']);
    assert.deepEqual(kinds[4], ['CustomResourceDefinition']);
    assert.equal(steps[4]!.length, 5);
  });

  test('that keeps checkpoints leaves their CRDs, and the namespace when the archives lie on its claim', async () => {
    const manifests = await bundledManifests();
    const kept = deletionSteps(manifests, { crds: true, claim: true }).flat();
    assert.deepEqual(
      kept.filter(({ kind }) => kind === 'CustomResourceDefinition').map(({ metadata }) => metadata.name),
      ['podmigrations.lpm.my.domain'],
    );
    assert.ok(!kept.some(({ kind }) => kind === 'Namespace' || kind === 'PersistentVolumeClaim'));
    assert.ok(
      deletionSteps(manifests, { crds: true, claim: false })
        .flat()
        .some(({ kind }) => kind === 'Namespace'),
    );
  });

  test('that leaves restored pods keeps what brings their nodes back later, and names them', async () => {
    const left = deletionSteps(await bundledManifests(), { crds: false, claim: false, agents: true }).flat();
    const names = left.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    for (const kept of [
      'DaemonSet/lpm-live-pod-migration-controller-checkpoint-agent',
      'ServiceAccount/lpm-checkpoint-agent',
      'Namespace/live-pod-migration-controller-system',
    ]) {
      assert.ok(!names.includes(kept), kept);
    }
    assert.ok(names.includes('Deployment/lpm-controller-manager'));
    assert.ok(names.includes('CustomResourceDefinition/podmigrations.lpm.my.domain'));
    const on = (nodeName: string) => ({ metadata: { name: 'a' }, spec: { nodeName } }) as Pod;
    assert.deepEqual(neededOn({ ...nothing, restored: [on('b'), on('a'), on('b')] }), ['a', 'b']);
  });

  test('takes a node back with a pod like its agent, that runs there whatever the DaemonSet selects, and ends', async () => {
    const { daemonSet } = (await healthy()) as unknown as { daemonSet: { seen: DaemonSet } };
    daemonSet.seen.spec!.template.spec!.nodeSelector = { 'lpm.my.domain/uninstalled': 'true' };
    const { spec } = takingBack(daemonSet.seen, 'k8s-worker', { force: true, keepState: true });
    const [container] = spec!.containers;
    assert.equal(spec!.nodeName, 'k8s-worker');
    assert.equal(spec!.nodeSelector, undefined);
    assert.equal(spec!.restartPolicy, 'Never');
    assert.deepEqual(container!.args!.slice(-3), ['--uninstall-node', '--force', '--keep-state']);
    assert.equal(container!.livenessProbe ?? container!.readinessProbe ?? container!.ports, undefined);
    assert.equal(container!.securityContext?.privileged, true);
  });
});
