/** EndpointSlices and Endpoints of Services that select pods. */
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeObject, Pod } from '../../../common/kube/types.js';
import { sameJson } from '../apiserver/kube-object.js';
import { matchesLabelSelector } from '../apiserver/label-selector.js';
import { timestamp } from '../apiserver/time.js';
import { controllerOf, inNamespace } from './caches.js';
import { controllerReference } from './claim.js';
import { endpointSubsets, sliceContents } from './endpoints-decide.js';
import { Expectations } from './expectations.js';
import { keyOfChange } from './replicaset.js';
import type { Controller, Shell } from './shell.js';
import type { EndpointSlice, Service } from './types.js';

const serviceLabel = 'kubernetes.io/service-name';
const manager = 'endpointslice-controller.k8s.io';
const triggerTime = 'endpoints.kubernetes.io/last-change-trigger-time';

function selects(service: Service, pod: KubeObject): boolean {
  const { selector } = service.spec ?? {};
  if (!selector || Object.keys(selector).length === 0 || service.spec?.type === 'ExternalName') return false;
  return (
    service.metadata.namespace === pod.metadata.namespace &&
    matchesLabelSelector({ matchLabels: selector }, pod.metadata.labels ?? {})
  );
}

const hasSelector = ({ spec }: Service): boolean =>
  Object.keys(spec?.selector ?? {}).length > 0 && spec?.type !== 'ExternalName';

const podsFor = (shell: Shell, service: Service): Pod[] =>
  inNamespace(shell.caches.pods, service.metadata.namespace).filter((pod) => selects(service, pod));

function servicesOfPod(shell: Shell, change: { object?: KubeObject; old?: KubeObject }): string[] {
  return shell.caches.services
    .list()
    .filter((service) => [change.object, change.old].some((pod) => pod && selects(service, pod)))
    .map((service) => `${service.metadata.namespace}/${service.metadata.name}`);
}

export function endpointSliceController(shell: Shell): Controller {
  const { caches, clients } = shell;
  const expectations = new Expectations(() => shell.now());

  async function sync(key: string): Promise<void> {
    const service = caches.services.get(key);
    if (!service) return expectations.forget(key);
    if (!hasSelector(service) || service.metadata.deletionTimestamp || !expectations.areFulfilled(key))
      return;
    const zones = new Map(
      caches.nodes.list().flatMap(({ metadata }): [string, string][] => {
        const zone = metadata.labels?.['topology.kubernetes.io/zone'];
        return zone ? [[metadata.name, zone]] : [];
      }),
    );
    const contents = sliceContents(service, podsFor(shell, service), zones);
    const labels = {
      ...service.metadata.labels,
      'endpointslice.kubernetes.io/managed-by': manager,
      [serviceLabel]: service.metadata.name,
      ...(service.spec?.clusterIP === 'None' ? { 'service.kubernetes.io/headless': '' } : {}),
    };
    const free = inNamespace(caches.endpointSlices, service.metadata.namespace).filter(
      (slice) => controllerOf(slice)?.uid === service.metadata.uid,
    );
    for (const content of contents) {
      // The slice that has these ports already, else any that is left.
      const index = Math.max(
        0,
        free.findIndex((slice) => sameJson(slice.ports, content.ports)),
      );
      const [slice] = free.splice(index, 1);
      if (!slice) await create(key, service, labels, content);
      else if (
        !sameJson(
          [slice.metadata.labels, slice.ports ?? [], slice.endpoints ?? []],
          [labels, content.ports, content.endpoints],
        )
      ) {
        await clients.endpointSlices.replace({
          ...slice,
          ...content,
          metadata: stamped({ ...slice.metadata, labels }),
        });
      }
    }
    for (const { metadata } of free) await clients.endpointSlices.delete(metadata.name, metadata.namespace);
  }

  async function create(key: string, service: Service, labels: object, content: object): Promise<void> {
    const metadata = {
      generateName: `${service.metadata.name}-`,
      labels,
      ownerReferences: [controllerReference(service, 'v1', 'Service')],
    };
    expectations.expectCreations(key, 1);
    try {
      const body = { metadata: stamped(metadata), addressType: 'IPv4', ...content };
      await clients.endpointSlices.create(body as unknown as EndpointSlice, service.metadata.namespace);
    } catch (error) {
      expectations.creationSeen(key);
      throw error;
    }
  }

  const stamped = <T extends object>(metadata: T): T => ({
    ...metadata,
    annotations: { [triggerTime]: timestamp(shell.now()) },
  });

  return {
    name: 'endpointslice-controller',
    sync,
    keysOf(change) {
      if (change.kind === 'Service') return [keyOfChange(change)];
      if (change.kind === 'Pod') return servicesOfPod(shell, change);
      if (change.kind !== 'EndpointSlice') return [];
      const slice = (change.object ?? change.old)!;
      const key = `${slice.metadata.namespace}/${slice.metadata.labels?.[serviceLabel] ?? ''}`;
      if (!change.old) expectations.creationSeen(key);
      return [key];
    },
  };
}

export function endpointsController(shell: Shell): Controller {
  const { caches, clients } = shell;

  async function sync(key: string): Promise<void> {
    const service = caches.services.get(key);
    const known = caches.endpoints.get(key);
    if (!service) {
      // Not owned by the Service, so no garbage collector takes it away.
      if (known && known.metadata.labels?.['endpoints.kubernetes.io/managed-by']) await remove(key);
      return;
    }
    if (!hasSelector(service) || service.metadata.deletionTimestamp) return;
    const subsets = endpointSubsets(service, podsFor(shell, service));
    const labels = {
      ...service.metadata.labels,
      'endpoints.kubernetes.io/managed-by': 'endpoint-controller',
      ...(service.spec?.clusterIP === 'None' ? { 'service.kubernetes.io/headless': '' } : {}),
    };
    if (known && sameJson([known.subsets ?? [], known.metadata.labels], [subsets, labels])) return;
    const { name, namespace } = service.metadata;
    const metadata = {
      ...(known?.metadata ?? { name, namespace }),
      labels,
      annotations: { ...known?.metadata.annotations, [triggerTime]: timestamp(shell.now()) },
    };
    const next = { ...known, metadata, subsets } as NonNullable<typeof known>;
    if (known) await clients.endpoints.replace(next);
    else await clients.endpoints.create(next, namespace);
  }

  async function remove(key: string): Promise<void> {
    const [namespace, name] = key.split('/');
    try {
      await clients.endpoints.delete(name!, namespace);
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isNotFound) throw error;
    }
  }

  return {
    name: 'endpoint-controller',
    sync,
    keysOf(change) {
      if (change.kind === 'Service' || change.kind === 'Endpoints') return [keyOfChange(change)];
      return change.kind === 'Pod' ? servicesOfPod(shell, change) : [];
    },
  };
}
