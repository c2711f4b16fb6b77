/** Why a pod of controller or agent does not serve: what the guide's troubleshooting looks for, from what the API tells. Pure. */
import { AGENT_PORT } from '../../../common/api/names.js';
import type { CoreEvent, Node, Pod } from '../../../common/kube/types.js';

export interface Problem {
  message: string;
  commands: string[];
}

export interface Around {
  node: Node | undefined;
  /** Warnings of its namespace. */
  events: readonly CoreEvent[];
  /** The last lines that it wrote. */
  log: readonly string[];
}

/** Undefined for a pod that is ready. */
export function podProblem(pod: Pod, around: Around): Problem | undefined {
  const { name, namespace = '', deletionTimestamp } = pod.metadata;
  const conditions = pod.status?.conditions ?? [];
  const isTrue = (type: string) => conditions.some((one) => one.type === type && one.status === 'True');
  const describe = `kubectl describe pod -n ${namespace} ${name}`;
  if (deletionTimestamp) return { message: `Its pod ${name} is being deleted.`, commands: [describe] };
  if (isTrue('Ready')) return undefined;
  const unscheduled = conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  if (unscheduled) return notScheduled(name, unscheduled.message ?? unscheduled.reason ?? '', describe);

  const container = pod.status?.containerStatuses?.[0];
  const waiting = container?.state?.waiting;
  const image = container?.image || pod.spec?.containers[0]?.image || '';
  const failing = latestWarning(pod, around.events);
  switch (waiting?.reason) {
    case 'ErrImageNeverPull':
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'InvalidImageName':
      return noImage(waiting.reason, pod.spec?.containers[0]?.image ?? image, waiting.message, around.node);
    case 'CrashLoopBackOff':
      return crashed(pod, around.log, `restarted ${container?.restartCount ?? 0} times`);
    case undefined:
      break;
    default:
      if (waiting?.reason !== 'ContainerCreating' && waiting?.reason !== 'PodInitializing') {
        return {
          message: `Its container is not made (${waiting?.reason}): ${ended(waiting?.message ?? 'the kubelet does not say why')}`,
          commands: [describe],
        };
      }
  }
  if (container?.state?.terminated) return crashed(pod, around.log, 'it has ended');
  if (container?.state?.running) return notReady(pod, around.log);
  if (failing) return fromEvent(pod, failing, describe);
  const phase = waiting?.reason ?? pod.status?.phase ?? 'Pending';
  return { message: `Its pod ${name} is not ready yet (${phase}).`, commands: [describe] };
}

function notScheduled(name: string, why: string, describe: string): Problem {
  if (/free ports/.test(why)) {
    return {
      message: `Its pod ${name} finds port ${AGENT_PORT} taken on the node, perhaps by an agent of an older installation.`,
      commands: [
        `ss -ltnp 'sport = :${AGENT_PORT}' # on the node`,
        'kubectl get pods -A -o wide | grep checkpoint-agent',
      ],
    };
  }
  return { message: `Its pod ${name} is not placed on a node: ${ended(why)}`, commands: [describe] };
}

function noImage(reason: string, image: string, why: string | undefined, node: Node | undefined): Problem {
  const where = node ? `node ${node.metadata.name}` : 'its node';
  if (!image.startsWith('localhost/')) {
    return {
      message: `The image ${image} cannot be pulled on ${where} (${reason}): ${ended(why ?? 'the runtime does not say why')}`,
      commands: [
        'kubectl migrate install --image-controller IMAGE --image-agent IMAGE # with images that the nodes can pull',
      ],
    };
  }
  const archive = `dist/images/${image.replace(/^localhost\//, '').replace(/:.*$/, '')}.tar`;
  const crio = node?.status?.nodeInfo?.containerRuntimeVersion.startsWith('cri-o') ?? false;
  return {
    message: `The image ${image} is not on ${where} (${reason}); from localhost nothing can be pulled.`,
    commands: [
      'npm run images # makes the archives',
      crio
        ? `skopeo copy oci-archive:${archive} containers-storage:${image} # on the node`
        : `ctr -n k8s.io images import ${archive} # on the node`,
    ],
  };
}

function crashed({ metadata }: Pod, log: readonly string[], how: string): Problem {
  const last = log.map(sentenceOf).filter(Boolean).slice(-3);
  return {
    message: `Its program ends again and again (${how})${last.length > 0 ? `. It said last: ${last.join(' | ')}` : '.'}`,
    commands: [`kubectl logs -n ${metadata.namespace} ${metadata.name} --previous`],
  };
}

function notReady({ metadata }: Pod, log: readonly string[]): Problem {
  const last = log.map(sentenceOf).filter(Boolean).at(-1);
  return {
    message: `Its pod ${metadata.name} runs but is not ready${last ? `. It said last: ${last}` : '.'}`,
    commands: [`kubectl logs -n ${metadata.namespace} ${metadata.name}`],
  };
}

function fromEvent({ metadata, spec }: Pod, { reason, message = '' }: CoreEvent, describe: string): Problem {
  const said = ended(message);
  if (reason === 'FailedCreatePodSandBox' && /\bcni\d?\b|network|flannel/i.test(message)) {
    return {
      message: `The pod network of node ${spec?.nodeName} does not take its pod ${metadata.name}: ${said}`,
      commands: [
        'systemctl stop kubelet && ip link delete cni0; ip link delete flannel.1; systemctl start kubelet # on the node, with flannel',
        `kubectl delete pod -n ${metadata.namespace} ${metadata.name}`,
      ],
    };
  }
  return { message: `Its pod ${metadata.name} does not start (${reason}): ${said}`, commands: [describe] };
}

function latestWarning({ metadata }: Pod, events: readonly CoreEvent[]): CoreEvent | undefined {
  const time = (event: CoreEvent) =>
    event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? '';
  return events
    .filter(
      ({ type, involvedObject, reason }) =>
        type === 'Warning' && involvedObject.uid === metadata.uid && reason !== 'Unhealthy',
    )
    .sort((a, b) => (time(a) < time(b) ? 1 : -1))[0];
}

/** What a line of our structured logs says. */
function sentenceOf(line: string): string {
  try {
    const { message, error, hint } = JSON.parse(line) as Record<string, unknown>;
    return [message, error, hint].filter((part) => typeof part === 'string').join(' ');
  } catch {
    return line.trim();
  }
}

const ended = (text: string): string => (/[.!?]$/.test(text.trim()) ? text.trim() : `${text.trim()}.`);
