/** What the admission plugins that every cluster runs do to a new pod. May refuse it. */
import type { Api } from '../api.js';
import { at, fieldsOf, listOf, type Fields } from '../kube-object.js';
import { randomSuffix } from '../random.js';
import { containersOf, type Pod, type Toleration } from '../resources/pod-types.js';
import { forbidden } from '../status-error.js';

const pods = { group: '', plural: 'pods', kind: 'Pod' };
export const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const tokenVolumePrefix = 'kube-api-access-';

export function admitPod(api: Api, pod: Pod): void {
  admitServiceAccount(api, pod);
  admitRuntimeClass(api, pod);
  admitPriority(api, pod);
  defaultTolerations(pod);
}

/** ServiceAccount: the account must exist; its token is mounted where nothing else is. */
function admitServiceAccount(api: Api, pod: Pod): void {
  const { spec } = pod;
  if (spec.serviceAccount && !spec.serviceAccountName) spec.serviceAccountName = spec.serviceAccount;
  spec.serviceAccountName ||= 'default';
  spec.serviceAccount = spec.serviceAccountName;
  const { namespace = '' } = pod.metadata;
  // Mirror pods belong to no account.
  if (pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined) return;
  const account = api.store.get('/serviceaccounts', namespace, spec.serviceAccountName);
  if (!account) {
    throw forbidden(
      pods,
      pod.metadata.name,
      `error looking up service account ${namespace}/${spec.serviceAccountName}: serviceaccount "${spec.serviceAccountName}" not found`,
    );
  }
  if (!spec.imagePullSecrets?.length && Array.isArray(account['imagePullSecrets'])) {
    spec.imagePullSecrets = structuredClone(account['imagePullSecrets']) as { name: string }[];
  }
  const automount = spec.automountServiceAccountToken ?? account['automountServiceAccountToken'] ?? true;
  if (automount) mountToken(pod);
}

function mountToken(pod: Pod): void {
  const { spec } = pod;
  const existing = spec.volumes?.find((volume) => volume.name.startsWith(tokenVolumePrefix));
  const name = existing?.name ?? `${tokenVolumePrefix}${randomSuffix()}`;
  let isNeeded = false;
  for (const { container } of containersOf(spec)) {
    if (container.volumeMounts?.some((mount) => mount.mountPath === tokenMountPath)) continue;
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name, readOnly: true, mountPath: tokenMountPath },
    ];
    isNeeded = true;
  }
  if (!isNeeded || existing) return;
  spec.volumes = [
    ...(spec.volumes ?? []),
    {
      name,
      projected: {
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          {
            downwardAPI: {
              items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
            },
          },
        ],
        defaultMode: 0o644,
      },
    },
  ];
}

/** RuntimeClass: must exist; brings its overhead, node selector and tolerations. */
function admitRuntimeClass(api: Api, pod: Pod): void {
  const { spec } = pod;
  if (!spec.runtimeClassName) return;
  const runtimeClass = api.store.get('node.k8s.io/runtimeclasses', undefined, spec.runtimeClassName);
  if (!runtimeClass) {
    throw forbidden(
      pods,
      pod.metadata.name,
      `pod rejected: RuntimeClass "${spec.runtimeClassName}" not found`,
    );
  }
  const podFixed = at(runtimeClass, 'overhead', 'podFixed');
  if (podFixed) spec.overhead = { ...(podFixed as Record<string, string>) };
  const selector = fieldsOf(at(runtimeClass, 'scheduling', 'nodeSelector')) as Record<string, string>;
  for (const [key, value] of Object.entries(selector)) {
    const asked = spec.nodeSelector?.[key];
    if (asked !== undefined && asked !== value) {
      throw forbidden(
        pods,
        pod.metadata.name,
        `conflict: runtimeClass.scheduling.nodeSelector and pod.spec.nodeSelector contain different values for ${key}`,
      );
    }
    spec.nodeSelector = { ...spec.nodeSelector, [key]: value };
  }
  const tolerations = listOf(at(runtimeClass, 'scheduling', 'tolerations')) as Toleration[];
  if (tolerations.length > 0)
    spec.tolerations = [...(spec.tolerations ?? []), ...structuredClone(tolerations)];
}

/** Priority: the number behind the class, which must exist. */
function admitPriority(api: Api, pod: Pod): void {
  const { spec } = pod;
  let chosen: Fields | undefined;
  if (spec.priorityClassName) {
    chosen = api.store.get('scheduling.k8s.io/priorityclasses', undefined, spec.priorityClassName);
    if (!chosen) {
      throw forbidden(
        pods,
        pod.metadata.name,
        `no PriorityClass with name ${spec.priorityClassName} was found`,
      );
    }
  } else {
    for (const one of api.store.list('scheduling.k8s.io/priorityclasses')) {
      if (one['globalDefault'] === true) chosen = one;
    }
    if (chosen) spec.priorityClassName = (chosen as { metadata: { name: string } }).metadata.name;
  }
  spec.priority = typeof chosen?.['value'] === 'number' ? chosen['value'] : 0;
  spec.preemptionPolicy ??=
    typeof chosen?.['preemptionPolicy'] === 'string' ? chosen['preemptionPolicy'] : 'PreemptLowerPriority';
}

/** DefaultTolerationSeconds: five minutes on a node that is lost. */
function defaultTolerations(pod: Pod): void {
  const tolerations = pod.spec.tolerations ?? [];
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const covered = tolerations.some(
      (toleration) =>
        (toleration.key === key || !toleration.key) &&
        (!toleration.effect || toleration.effect === 'NoExecute'),
    );
    if (!covered) tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
  }
  pod.spec.tolerations = tolerations;
}
