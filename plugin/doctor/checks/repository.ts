/** Where checkpoints are kept: the volume `checkpoint-repo` of the agents, and what provides it. */
import { CHECKPOINT_REPOSITORY, SYSTEM_NAMESPACE } from '../../../common/api/names.js';
import type { CoreEvent, Pod } from '../../../common/kube/types.js';
import { Check, type Finding } from '../finding.js';
import { REPOSITORY_CLAIM, type Claim } from '../objects.js';
import type { Observed } from '../observed.js';

const PROVISIONER = 'app=nfs-subdir-external-provisioner';
const LEAST_FREE_BYTES = 1024 ** 3;

export function repository(observed: Observed): Finding[] {
  const check = new Check('checkpoint-repository');
  const { daemonSet } = observed;
  if ('hidden' in daemonSet) return [check.unknown(daemonSet.hidden)];
  if (!daemonSet.seen) return [];
  const volumes = daemonSet.seen.spec?.template.spec?.volumes ?? [];
  const volume = volumes.find(({ name }) => name === 'checkpoint-repo');
  if (!volume) {
    return [
      check.fail(
        'The agents have no volume checkpoint-repo, so checkpoints cannot be kept.',
        'kubectl migrate install',
      ),
    ];
  }
  const claimName = volume.persistentVolumeClaim?.claimName;
  if (claimName === undefined) return [folder(observed, check, volume.hostPath?.path)];
  return [claim(observed, check, claimName)];
}

/** Each node's own folder, on which somebody may have mounted a share. */
function folder(observed: Observed, check: Check, path = CHECKPOINT_REPOSITORY): Finding {
  const shared = freeBytes(observed);
  if (shared.length > 0 && shared.every((free) => !Number.isNaN(free))) {
    return room(check, `${path}, a share that every node has mounted`, shared);
  }
  return check.ok(`${path} of each node, not shared: checkpoints lie on the node that made them`);
}

function claim(observed: Observed, check: Check, name: string): Finding {
  const { claim: found } = observed;
  if ('hidden' in found) return check.unknown(found.hidden);
  if (!found.seen) {
    return check.fail(
      `The agents want the claim ${name}, and there is none in namespace ${SYSTEM_NAMESPACE}.`,
      'kubectl migrate install --component checkpoint-repo-claim',
    );
  }
  const { spec, status } = found.seen;
  if (status?.phase !== 'Bound') return unbound(observed, check, found.seen);
  if (!(status.accessModes ?? spec?.accessModes ?? []).includes('ReadWriteMany')) {
    return check.fail(
      `The claim ${name} is not ReadWriteMany, so only one node can have it.`,
      `kubectl get pvc -n ${SYSTEM_NAMESPACE} ${name} -o yaml # its storage class must provide ReadWriteMany`,
    );
  }
  return room(
    check,
    `claim ${name}, bound, ${status.capacity?.['storage'] ?? 'size unknown'}`,
    freeBytes(observed),
  );
}

function unbound(
  { provisioners, events }: Observed,
  check: Check,
  { metadata, spec, status }: Claim,
): Finding {
  const describe = `kubectl describe pvc -n ${SYSTEM_NAMESPACE} ${REPOSITORY_CLAIM}`;
  const what = `The claim ${metadata.name} is ${status?.phase ?? 'Pending'}, so the agents wait for it`;
  const said = 'seen' in events ? about(events.seen, metadata.uid) : undefined;
  if ('seen' in provisioners && provisioners.seen.length > 0 && !provisioners.seen.some(isReady)) {
    return check.fail(
      `${what}: the NFS provisioner is not ready.`,
      `kubectl describe pods -n kube-system -l ${PROVISIONER}`,
    );
  }
  const storage = spec?.storageClassName
    ? `storage class ${spec.storageClassName}`
    : "the cluster's default storage class";
  return check.fail(`${what} (${storage})${said ? `: ${said}` : '.'}`, describe, 'kubectl get storageclass');
}

function room(check: Check, what: string, free: readonly number[]): Finding {
  const numbers = free.filter((bytes) => !Number.isNaN(bytes));
  const least = Math.min(...numbers);
  if (numbers.length > 0 && least < LEAST_FREE_BYTES) {
    return check.warn(
      `The checkpoint repository (${what}) has ${Math.round(least / 1024 ** 2)} MiB free.`,
      'kubectl checkpoint list -A # and delete what is not needed',
    );
  }
  return check.ok(numbers.length > 0 ? `${what}, ${Math.round(least / 1024 ** 3)} GiB free` : what);
}

/** By agent; NaN where the repository is not shared or not reached. */
function freeBytes({ agents, metrics }: Observed): number[] {
  if ('hidden' in agents) return [];
  return agents.seen.flatMap(({ metadata }) => {
    const told = metrics.get(metadata.uid ?? '');
    const free = told && 'seen' in told ? told.seen.values.get('lpm_agent_repository_free_bytes') : undefined;
    return free === undefined ? [] : [free];
  });
}

const about = (events: readonly CoreEvent[], uid: string | undefined): string | undefined =>
  events.find(({ involvedObject }) => involvedObject.uid === uid)?.message;

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
