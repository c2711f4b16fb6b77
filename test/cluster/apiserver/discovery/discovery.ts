/** Which groups, versions and resources there are, in the old form and the aggregated one. */
import type { Api } from '../api.js';
import type { Fields } from '../kube-object.js';
import type { Resource } from '../resources/resource.js';
import { noSuchPath } from '../status-error.js';
import { reviewResources } from '../subresources/reviews.js';

interface Listed {
  name: string;
  singularName: string;
  namespaced: boolean;
  kind: string;
  verbs: readonly string[];
  shortNames?: string[];
  categories?: string[];
  /** Where the kind is of another group (Scale, Eviction, TokenRequest). */
  group?: string;
  version?: string;
}

const readAndWrite = ['get', 'patch', 'update'] as const;
const create = ['create'] as const;
const stream = ['create', 'get'] as const;

const subresources: Record<string, Partial<Listed>[]> = {
  '/pods': [
    { name: 'attach', kind: 'PodAttachOptions', verbs: stream },
    { name: 'binding', kind: 'Binding', verbs: create },
    { name: 'ephemeralcontainers', kind: 'Pod', verbs: readAndWrite },
    { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1', verbs: create },
    { name: 'exec', kind: 'PodExecOptions', verbs: stream },
    { name: 'log', kind: 'Pod', verbs: ['get'] },
    { name: 'portforward', kind: 'PodPortForwardOptions', verbs: stream },
  ],
  '/nodes': [
    { name: 'proxy', kind: 'NodeProxyOptions', verbs: ['create', 'delete', 'get', 'patch', 'update'] },
  ],
  '/namespaces': [{ name: 'finalize', kind: 'Namespace', verbs: ['update'] }],
  '/serviceaccounts': [
    { name: 'token', kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: create },
  ],
};

function subresourcesOf(resource: Resource): Partial<Listed>[] {
  return [
    ...(resource.hasStatus ? [{ name: 'status', kind: resource.kind, verbs: readAndWrite }] : []),
    ...(resource.scale
      ? [{ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: readAndWrite }]
      : []),
    ...(subresources[resource.storage] ?? []),
  ];
}

type Groups = Map<string, Map<string, { resources: Resource[]; reviews: typeof reviewResources }>>;

function groupsOf(api: Api): Groups {
  const groups: Groups = new Map();
  for (const [group, versions] of api.registry.groups()) {
    groups.set(
      group,
      new Map([...versions].map(([version, resources]) => [version, { resources, reviews: [] }])),
    );
  }
  for (const group of new Set(reviewResources.map((review) => review.group))) {
    const reviews = reviewResources.filter((review) => review.group === group);
    groups.set(group, new Map([['v1', { resources: [], reviews }]]));
  }
  return groups;
}

/** The answer to a discovery path, or undefined when the path is none. */
export function discover(
  api: Api,
  pathname: string,
  accept: string,
): { body: Fields; contentType?: string } | undefined {
  const parts = pathname.split('/').filter((part) => part !== '');
  const [root, ...rest] = parts;
  if (root === 'api') {
    if (rest.length === 0) {
      const aggregated = aggregatedVersion(accept);
      if (aggregated) return aggregatedList(api, aggregated, true);
      return { body: { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] } };
    }
    return rest.length === 1 ? { body: resourceList(api, '', rest[0]!) } : undefined;
  }
  if (root !== 'apis') return undefined;
  if (rest.length === 0) {
    const aggregated = aggregatedVersion(accept);
    if (aggregated) return aggregatedList(api, aggregated, false);
    const groups = [...groupsOf(api)]
      .filter(([group]) => group !== '')
      .map(([group, versions]) => groupInfo(group, [...versions.keys()]));
    return { body: { kind: 'APIGroupList', apiVersion: 'v1', groups } };
  }
  if (rest.length === 1) {
    const versions = groupsOf(api).get(rest[0]!);
    if (!versions) throw noSuchPath();
    return { body: { kind: 'APIGroup', apiVersion: 'v1', ...groupInfo(rest[0]!, [...versions.keys()]) } };
  }
  return rest.length === 2 ? { body: resourceList(api, rest[0]!, rest[1]!) } : undefined;
}

function groupInfo(name: string, versions: string[]): Fields {
  const listed = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: listed, preferredVersion: listed[0] };
}

function resourceList(api: Api, group: string, version: string): Fields {
  const found = groupsOf(api).get(group)?.get(version);
  if (!found) throw noSuchPath();
  const resources: Listed[] = found.resources.flatMap((resource) => [
    {
      name: resource.plural,
      singularName: resource.singular,
      namespaced: resource.namespaced,
      kind: resource.kind,
      verbs: resource.verbs,
      ...(resource.shortNames.length > 0 ? { shortNames: resource.shortNames } : {}),
      ...(resource.categories.length > 0 ? { categories: resource.categories } : {}),
    },
    ...subresourcesOf(resource).map(
      (sub) =>
        ({
          ...sub,
          name: `${resource.plural}/${sub.name}`,
          singularName: '',
          namespaced: resource.namespaced,
        }) as Listed,
    ),
  ]);
  for (const review of found.reviews) {
    resources.push({
      name: review.plural,
      singularName: review.kind.toLowerCase(),
      namespaced: review.namespaced,
      kind: review.kind,
      verbs: create,
    });
  }
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources,
  };
}

function aggregatedVersion(accept: string): string | undefined {
  for (const entry of accept.split(',')) {
    const match = /g=apidiscovery\.k8s\.io/.test(entry) && /as=APIGroupDiscoveryList/.test(entry);
    const version = /v=(v2(?:beta1)?)\b/.exec(entry)?.[1];
    if (match && version && entry.trim().startsWith('application/json')) return version;
  }
  return undefined;
}

function aggregatedList(api: Api, version: string, isCore: boolean): { body: Fields; contentType: string } {
  const items = [...groupsOf(api)]
    .filter(([group]) => (group === '') === isCore)
    .map(([group, versions]) => ({
      metadata: { ...(group ? { name: group } : {}), creationTimestamp: null },
      versions: [...versions].map(([name, { resources, reviews }]) => ({
        version: name,
        freshness: 'Current',
        resources: [
          ...resources.map(aggregatedResource),
          ...reviews.map((review) => ({
            resource: review.plural,
            responseKind: { group: review.group, version: 'v1', kind: review.kind },
            scope: review.namespaced ? 'Namespaced' : 'Cluster',
            singularResource: review.kind.toLowerCase(),
            verbs: create,
          })),
        ],
      })),
    }));
  return {
    body: {
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items,
    },
    contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
  };
}

function aggregatedResource(resource: Resource): Fields {
  const { group, version } = resource;
  return {
    resource: resource.plural,
    responseKind: { group, version, kind: resource.kind },
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: resource.verbs,
    ...(resource.shortNames.length > 0 ? { shortNames: resource.shortNames } : {}),
    ...(resource.categories.length > 0 ? { categories: resource.categories } : {}),
    subresources: subresourcesOf(resource).map((sub) => ({
      subresource: sub.name,
      responseKind: { group: sub.group ?? group, version: sub.version ?? version, kind: sub.kind },
      verbs: sub.verbs,
    })),
  };
}
