/** Asks the cluster, with the caller's own rights. What may not be seen is no error. */
import {
  AGENT_ACCOUNT,
  AGENT_LABEL,
  API_VERSION,
  AUTHORITY_CONFIG_MAP,
  CONTROLLER_LABEL,
  GROUP,
  RUNTIME_CLASS,
  SYSTEM_NAMESPACE,
} from '../../common/api/names.js';
import { KINDS } from '../../common/api/kinds.js';
import { ApiError } from '../../common/kube/api-error.js';
import { crdsInstalled, type KubeClient } from '../../common/kube/client.js';
import type { Lease, Node, Pod } from '../../common/kube/types.js';
import { bundledManifests } from '../install/bundled.js';
import { inParallel } from '../several/in-parallel.js';
import { neededRights } from './checks/rights.js';
import { look, type Right, type Seen } from './look.js';
import { readMetrics } from './metrics.js';
import {
  DAEMON_SET,
  DEPLOYMENT,
  GIVEN_SECRET,
  LEASE,
  REPOSITORY_CLAIM,
  resources,
  type Crd,
} from './objects.js';
import type { KubeletAnswer, Metrics, Observed, RightAnswer, UserRights } from './observed.js';

const SYSTEM = { namespace: SYSTEM_NAMESPACE };
/** Pods and kubelets that are asked at the same time. */
const AT_ONCE = 8;
const LOG_LINES = 20;

export interface Question {
  /** Where the person wants to migrate. */
  namespace: string;
  /** Only this node is asked. */
  node?: string;
  version: string;
}

/** Asks all at the same time; each answer has the name of its question. */
async function together<Questions extends Record<string, Promise<unknown>>>(
  questions: Questions,
): Promise<{ [Name in keyof Questions]: Awaited<Questions[Name]> }> {
  const asked = Object.entries(questions).map(async ([name, answer]) => [name, await answer] as const);
  return Object.fromEntries(await Promise.all(asked)) as {
    [Name in keyof Questions]: Awaited<Questions[Name]>;
  };
}

/** @throws ApiUnreachable, or ApiError when the credentials are not accepted: then nothing can be said at all */
export async function observe(client: KubeClient, question: Question): Promise<Observed> {
  // The first question tells whether the cluster can be reached.
  const server = await askServer(client);
  const kinds = resources(client);
  const isAsked = ({ metadata }: Node) => question.node === undefined || metadata.name === question.node;
  const first = await together({
    crds: lookAtCrds(client),
    systemNamespace: look({ verb: 'get', resource: 'namespaces', name: SYSTEM_NAMESPACE }, () =>
      client.namespaces.find(SYSTEM_NAMESPACE),
    ),
    runtimeClass: look({ verb: 'get', resource: 'runtimeclasses.node.k8s.io', name: RUNTIME_CLASS }, () =>
      kinds.runtimeClasses.find(RUNTIME_CLASS),
    ),
    deployment: look({ verb: 'get', resource: 'deployments.apps', ...SYSTEM }, () =>
      kinds.deployments.find(DEPLOYMENT, SYSTEM_NAMESPACE),
    ),
    daemonSet: look({ verb: 'get', resource: 'daemonsets.apps', ...SYSTEM }, () =>
      kinds.daemonSets.find(DAEMON_SET, SYSTEM_NAMESPACE),
    ),
    lease: look({ verb: 'get', resource: 'leases.coordination.k8s.io', ...SYSTEM }, () =>
      client.leases.find(LEASE, SYSTEM_NAMESPACE),
    ),
    controllers: look({ verb: 'list', resource: 'pods', ...SYSTEM }, () =>
      items(client.pods.list({ ...SYSTEM, labelSelector: CONTROLLER_LABEL })),
    ),
    agents: look({ verb: 'list', resource: 'pods', ...SYSTEM }, () =>
      items(client.pods.list({ ...SYSTEM, labelSelector: AGENT_LABEL })),
    ),
    events: look({ verb: 'list', resource: 'events', ...SYSTEM }, () =>
      items(client.events.list({ ...SYSTEM, fieldSelector: 'type=Warning' })),
    ),
    nodes: look({ verb: 'list', resource: 'nodes' }, () => items(client.nodes.list())),
  });
  const asked = 'seen' in first.nodes ? first.nodes.seen.filter(isAsked) : [];
  const pods = [
    ...seenOr(first.controllers),
    ...seenOr(first.agents).filter(
      ({ spec }) => question.node === undefined || spec?.nodeName === question.node,
    ),
  ];
  const second = await together({
    nodeLeases: look(
      { verb: 'list', resource: 'leases.coordination.k8s.io', namespace: 'kube-node-lease' },
      () => nodeLeasesOf(client),
    ),
    agentMayCheckpoint: mayAgent(client),
    authority: look({ verb: 'get', resource: 'configmaps', ...SYSTEM }, () =>
      client.configMaps.find(AUTHORITY_CONFIG_MAP, SYSTEM_NAMESPACE),
    ),
    given: look({ verb: 'get', resource: 'secrets', ...SYSTEM }, () =>
      client.secrets.find(GIVEN_SECRET, SYSTEM_NAMESPACE),
    ),
    claim: look({ verb: 'get', resource: 'persistentvolumeclaims', ...SYSTEM }, () =>
      kinds.claims.find(REPOSITORY_CLAIM, SYSTEM_NAMESPACE),
    ),
    provisioners: look({ verb: 'list', resource: 'pods', namespace: 'kube-system' }, () =>
      items(
        client.pods.list({ namespace: 'kube-system', labelSelector: 'app=nfs-subdir-external-provisioner' }),
      ),
    ),
    migrations: lookAtMigrations(client, first.crds.served),
    frozen: look({ verb: 'list', resource: 'events' }, () =>
      items(client.events.list({ fieldSelector: 'reason=Frozen,type=Warning' })),
    ),
    user: askRights(client, question.namespace),
    logs: readLogs(client, pods),
    metrics: readAllMetrics(client, pods),
    kubelets: askKubelets(client, asked),
  });
  return {
    plugin: { version: question.version },
    server,
    now: Date.now() - (server.aheadMs ?? 0),
    ...first,
    ...second,
  };
}

const items = async <T>(list: Promise<{ items: T[] }>): Promise<T[]> => (await list).items;
const seenOr = <T>(seen: Seen<T[]>): T[] => ('seen' in seen ? seen.seen : []);

async function askServer(client: KubeClient): Promise<Observed['server']> {
  const begun = Date.now();
  const { body, date } = await client.dated<{ gitVersion?: string }>('/version');
  const between = (begun + Date.now()) / 2;
  return {
    url: client.server,
    version: body.gitVersion ?? 'of an unknown version',
    // The header has whole seconds: the middle of that second is nearest.
    ...(date === undefined ? {} : { aheadMs: between - (date + 500) }),
  };
}

async function lookAtCrds(client: KubeClient): Promise<Observed['crds']> {
  const { crds } = resources(client);
  const [expected, installed, served] = await Promise.all([
    bundledManifests(),
    look({ verb: 'list', resource: 'customresourcedefinitions.apiextensions.k8s.io' }, () =>
      items(crds.list()),
    ),
    look({ verb: 'get', resource: `/apis/${API_VERSION}` }, () => crdsInstalled(client)),
  ]);
  return {
    expected: expected.objects.filter(({ kind }) => kind === 'CustomResourceDefinition') as unknown as Crd[],
    installed,
    served,
  };
}

/** Of all namespaces. */
async function lookAtMigrations(client: KubeClient, served: Seen<boolean>): Promise<Observed['migrations']> {
  if ('seen' in served && !served.seen) return { seen: [] };
  return look({ verb: 'list', resource: `${KINDS.PodMigration.plural}.${GROUP}` }, () =>
    items(client.podMigrations.list()),
  );
}

async function nodeLeasesOf(client: KubeClient): Promise<Map<string, Lease>> {
  const leases = await items(client.leases.list({ namespace: 'kube-node-lease' }));
  return new Map(leases.map((lease) => [lease.metadata.name, lease]));
}

/** The last lines of what does not run, before its last end if it was started again. */
async function readLogs(client: KubeClient, pods: readonly Pod[]): Promise<Map<string, string[]>> {
  const logs = new Map<string, string[]>();
  await inParallel(
    pods.filter((pod) => !isReady(pod)),
    AT_ONCE,
    async ({ metadata, spec, status }) => {
      const container = status?.containerStatuses?.[0];
      if (!container?.state || (container.state.waiting && container.restartCount === 0)) return;
      const query = {
        container: spec?.containers[0]?.name,
        tailLines: LOG_LINES,
        previous: container.state.waiting ? true : undefined,
      };
      const path = client.pods.path(metadata.namespace, metadata.name, 'log');
      // Without its log the reason that the kubelet tells must do.
      const text = await client.text('GET', path, { query }).catch(() => '');
      logs.set(metadata.uid ?? '', text.split('\n').filter(Boolean));
    },
  );
  return logs;
}

async function readAllMetrics(client: KubeClient, pods: readonly Pod[]): Promise<Map<string, Seen<Metrics>>> {
  const metrics = new Map<string, Seen<Metrics>>();
  await inParallel(pods.filter(isReady), AT_ONCE, async (pod) => {
    const right = { verb: 'create', resource: 'pods/portforward', ...SYSTEM };
    metrics.set(pod.metadata.uid ?? '', await look(right, () => readMetrics(client, pod)));
  });
  return metrics;
}

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;

/** Asks each kubelet for a checkpoint of a pod that does not exist: nothing is made, and its answer tells whether it would. */
async function askKubelets(
  client: KubeClient,
  nodes: readonly Node[],
): Promise<Map<string, Seen<KubeletAnswer>>> {
  const answers = new Map<string, Seen<KubeletAnswer>>();
  await inParallel(nodes, AT_ONCE, async ({ metadata: { name } }) => {
    const path = `/api/v1/nodes/${encodeURIComponent(name)}/proxy/checkpoint/${SYSTEM_NAMESPACE}/lpm-doctor-asks/none`;
    answers.set(
      name,
      await look({ verb: 'create', resource: 'nodes/proxy' }, async () => {
        try {
          return { code: 200, text: await client.text('POST', path) };
        } catch (error) {
          if (!(error instanceof ApiError) || isOfApiServer(error)) throw error;
          return { code: error.code, text: error.message };
        }
      }),
    );
  });
  return answers;
}

/** The API server answers with a Status, a kubelet with plain text. */
const isOfApiServer = ({ status }: ApiError): boolean => status.kind === 'Status';

function mayAgent(client: KubeClient): Promise<Seen<boolean>> {
  const account = `system:serviceaccount:${SYSTEM_NAMESPACE}:${AGENT_ACCOUNT}`;
  const groups = [
    'system:serviceaccounts',
    `system:serviceaccounts:${SYSTEM_NAMESPACE}`,
    'system:authenticated',
  ];
  return look({ verb: 'create', resource: 'subjectaccessreviews.authorization.k8s.io' }, () =>
    review(
      client,
      'SubjectAccessReview',
      { verb: 'create', resource: 'nodes/checkpoint' },
      { user: account, groups },
    ),
  );
}

async function askRights(client: KubeClient, namespace: string): Promise<UserRights> {
  const [name, answers] = await Promise.all([
    whoAmI(client),
    look({ verb: 'create', resource: 'selfsubjectaccessreviews.authorization.k8s.io' }, () =>
      Promise.all(
        neededRights(namespace).map(async ({ verb, resource, namespace: where }): Promise<RightAnswer> => {
          const right = { verb, resource, ...(where === undefined ? {} : { namespace: where }) };
          return { ...right, allowed: await review(client, 'SelfSubjectAccessReview', right) };
        }),
      ),
    ),
  ]);
  return { ...(name === undefined ? {} : { name }), namespace, answers };
}

/** A subject other than ours is named for a SubjectAccessReview only. */
async function review(
  client: KubeClient,
  kind: 'SelfSubjectAccessReview' | 'SubjectAccessReview',
  { verb, resource: written, namespace }: Right,
  subject: object = {},
): Promise<boolean> {
  const [path = '', subresource] = written.split('/');
  const [resource = '', ...group] = path.split('.');
  const { status } = await client.json<{ status?: { allowed?: boolean } }>(
    'POST',
    `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
    {
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind,
        spec: {
          resourceAttributes: {
            verb,
            group: group.join('.'),
            resource,
            ...(subresource ? { subresource } : {}),
            ...(namespace ? { namespace } : {}),
          },
          ...subject,
        },
      },
    },
  );
  return status?.allowed === true;
}

/** Since Kubernetes 1.28. */
async function whoAmI(client: KubeClient): Promise<string | undefined> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  try {
    const answer = await client.json<{ status?: { userInfo?: { username?: string } } }>(
      'POST',
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      { body },
    );
    return answer.status?.userInfo?.username;
  } catch {
    return undefined;
  }
}
