/** What an answer of the kubelet means: the path of an archive, or one sentence of what to do. Pure. */
import { LpmError, type Reason } from '../../common/errors.js';

/** What the kubelet is asked for. */
export interface Question {
  /** Path and query. */
  path: string;
  /** How long it may take. */
  patienceMs: number;
}

/** What came of asking once with one credential. */
export interface Answer {
  /** The credential, as sentences name it. */
  credential: string;
  /** HTTP status; 0 when none came. */
  status: number;
  /** Text of the answer, or what the broken connection is said to be. */
  body: string;
  /** Of what broke the connection (Node's error codes); empty when an answer came. */
  code: string;
  /** The request may have reached the kubelet. */
  sent: boolean;
}

export interface Subject {
  nodeName: string;
  /** "HOST:PORT" of the kubelet. */
  address: string;
  namespace: string;
  pod: string;
  container: string;
  patienceMs: number;
}

interface Row {
  status?: number;
  code?: RegExp;
  body?: RegExp;
  reason: Reason;
  /** Follows "Container C of pod N/P was not checkpointed: ". */
  why(subject: Subject, answer: Answer): string;
  hint: string;
}

const VERSIONS =
  'The kubelet needs Kubernetes 1.25 or newer with the feature gate ContainerCheckpoint (on by default from 1.30): add "featureGates: {ContainerCheckpoint: true}" to /var/lib/kubelet/config.yaml and restart it. Checkpoints with "via: Agent" need no kubelet.';
const PROVE =
  'Tokens need "authentication.webhook.enabled: true" in /var/lib/kubelet/config.yaml (kubeadm sets it); a client certificate is named with the agent’s flags --kubelet-client-cert and --kubelet-client-key.';
const GRANT =
  'Bind a ClusterRole with the verb create on nodes/checkpoint to that user (the manifests bind it to the agents’ ServiceAccount); nodes/proxy is not enough.';
const CERTIFICATE =
  'Name the authority of that certificate, or the certificate itself, with the agent’s flag --kubelet-ca.';
const LISTENS =
  'Look at "systemctl status kubelet" on the node; if it listens elsewhere, name it with the agent’s flag --kubelet-address.';
const CRIU =
  'Install CRIU on the node (for example: apt-get install -y criu) and check it with "criu check"; a kubelet’s checkpoint uses the CRIU that the container runtime finds in its PATH.';
const TIMEOUT = 'Give the checkpoint a larger timeoutSeconds, and look at how busy the node’s disk is.';
const ROOM =
  'Make room for /var/lib/kubelet/checkpoints on the node; old archives there are removed with their checkpoints.';

/** First match counts. */
export const OUTCOMES: readonly Row[] = [
  // No answer
  {
    code: /^ECONNREFUSED$/,
    reason: 'KubeletUnreachable',
    why: ({ nodeName, address }) =>
      `nothing listens at ${address}, where the kubelet of node ${nodeName} should be`,
    hint: LISTENS,
  },
  {
    code: /^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/,
    reason: 'KubeletUntrusted',
    why: ({ nodeName }, { code }) =>
      `the serving certificate of the kubelet of node ${nodeName} ${code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet'}`,
    hint: 'Renew it (a kubelet makes a new one when /var/lib/kubelet/pki/kubelet.crt and kubelet.key are moved away and it is restarted), and compare the clocks.',
  },
  {
    code: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    reason: 'KubeletUntrusted',
    why: ({ nodeName, address }, { body }) =>
      `what answers at ${address} has a certificate for neither node ${nodeName} nor that address (${body})`,
    hint: CERTIFICATE,
  },
  {
    code: /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|INVALID_CA|HOSTNAME_MISMATCH)/,
    reason: 'KubeletUntrusted',
    why: ({ nodeName, address }, { code }) =>
      `the certificate that is shown at ${address} is neither the kubelet’s own of node ${nodeName} nor one of the cluster’s authority (${code})`,
    hint: `${CERTIFICATE} Where the kubelet made itself a new one, it lies at /var/lib/kubelet/pki/kubelet.crt of the node.`,
  },
  {
    code: /^ERR_SSL_.*ALERT.*CERTIFICATE/,
    reason: 'KubeletUnauthorized',
    why: ({ nodeName }, { credential, code }) =>
      `the kubelet of node ${nodeName} refused ${credential} (${code})`,
    hint: PROVE,
  },
  {
    code: /^(ERR_SSL_|EPROTO)/,
    reason: 'KubeletUnreachable',
    why: ({ address }, { body }) =>
      `what answers at ${address} does not speak TLS as a kubelet does (${body})`,
    hint: LISTENS,
  },
  {
    code: /^BAD_CREDENTIAL$/,
    reason: 'KubeletUnauthorized',
    why: (_, { credential, body }) => `${credential} cannot be used (${body})`,
    hint: PROVE,
  },
  {
    code: /^(ABORT_ERR|TimeoutError|AbortError|23)$/,
    reason: 'TimedOut',
    why: ({ nodeName, patienceMs }) =>
      `the kubelet of node ${nodeName} did not answer within ${Math.round(patienceMs / 1000)} seconds`,
    hint: TIMEOUT,
  },
  {
    code: /^(ECONNRESET|EPIPE)$/,
    reason: 'KubeletUnreachable',
    why: ({ nodeName }) => `the kubelet of node ${nodeName} closed the connection without an answer`,
    hint: 'It may have been restarted; look at "journalctl -u kubelet" on the node.',
  },
  {
    code: /./,
    reason: 'KubeletUnreachable',
    why: ({ nodeName, address }, { body }) =>
      `the kubelet of node ${nodeName} cannot be reached at ${address} (${body})`,
    hint: LISTENS,
  },
  // Who asks
  {
    status: 401,
    reason: 'KubeletUnauthorized',
    why: ({ nodeName }, { credential }) =>
      `the kubelet of node ${nodeName} does not know ${credential} (401)`,
    hint: PROVE,
  },
  {
    status: 403,
    body: /user=system:anonymous\b/,
    reason: 'KubeletUnauthorized',
    why: ({ nodeName }, { credential }) =>
      `the kubelet of node ${nodeName} takes ${credential} for nobody’s (403 for system:anonymous)`,
    hint: PROVE,
  },
  {
    status: 403,
    reason: 'KubeletForbidden',
    why: ({ nodeName }, { credential, body }) =>
      `the kubelet of node ${nodeName} knows ${credential}${userIn(body)}, who may not create nodes/checkpoint (403)`,
    hint: GRANT,
  },
  // What is asked for
  {
    status: 404,
    body: /pod does not exist/i,
    reason: 'PodNotFound',
    why: ({ nodeName }) => `the kubelet of node ${nodeName} has no such pod`,
    hint: 'Check that the pod exists, runs and is on this node: kubectl get pod -o wide.',
  },
  {
    status: 404,
    body: /container .*does not exist/i,
    reason: 'ContainerNotFound',
    why: ({ nodeName }) => `the kubelet of node ${nodeName} says that the pod has no such container`,
    hint: 'The container name must match exactly: kubectl get pod -o jsonpath={.spec.containers[*].name}.',
  },
  {
    status: 404,
    body: /timeout parameter/i,
    reason: 'KubeletFailed',
    why: ({ nodeName }) => `the kubelet of node ${nodeName} does not understand the timeout`,
    hint: 'Leave timeoutSeconds out.',
  },
  {
    status: 404,
    reason: 'KubeletCheckpointDisabled',
    why: ({ nodeName }) =>
      `the kubelet of node ${nodeName} has no checkpoint API (404 page not found): its feature gate is off, or it is too old`,
    hint: VERSIONS,
  },
  {
    status: 405,
    reason: 'KubeletFailed',
    why: ({ address }) => `what answers at ${address} takes no POST (405)`,
    hint: LISTENS,
  },
  {
    status: 429,
    reason: 'KubeletUnreachable',
    why: ({ nodeName }) => `the kubelet of node ${nodeName} has too much to do (429)`,
    hint: 'Try again later.',
  },
  {
    status: 503,
    reason: 'KubeletUnreachable',
    why: ({ nodeName }) => `the kubelet of node ${nodeName} is not ready (503)`,
    hint: 'Try again when the node is ready.',
  },
  // What the runtime says
  {
    status: 500,
    body: /failed \(container \S+ not found\)/i,
    reason: 'PodNotRunning',
    why: () => 'it is not running',
    hint: 'Wait until the container runs: kubectl get pod.',
  },
  {
    status: 500,
    body: /checkpoint\/restore support not available|criu support .*(disabled|not enabled)/i,
    reason: 'RuntimeNotSupported',
    why: ({ nodeName }) => `the container runtime of node ${nodeName} has its CRIU support switched off`,
    hint: 'For CRI-O: set "enable_criu_support = true" in /etc/crio/crio.conf, install CRIU, and restart CRI-O.',
  },
  {
    status: 500,
    body: /criu failed/i,
    reason: 'CriuDumpFailed',
    why: ({ nodeName }) => `CRIU failed on node ${nodeName}`,
    hint: 'Look for the first error in the dump.log that the runtime names. Open TCP connections and io_uring are usual causes.',
  },
  {
    status: 500,
    body: /criu binary not found|criu.*too old|"?criu"?: (executable file not found|no such file)|could not load .*libcriu/i,
    reason: 'CriuMissing',
    why: ({ nodeName }) => `the container runtime of node ${nodeName} finds no usable CRIU`,
    hint: CRIU,
  },
  {
    status: 500,
    body: /code = Unimplemented|unknown (method|service)|not implemented/i,
    reason: 'RuntimeNotSupported',
    why: ({ nodeName }) => `the container runtime of node ${nodeName} cannot make checkpoints`,
    hint: 'containerd 2.0 or CRI-O 1.25 is the oldest that can. Checkpoints with "via: Agent" need only its OCI runtime and CRIU.',
  },
  {
    status: 500,
    body: /file name too long/i,
    reason: 'KubeletFailed',
    why: () => 'the names of pod, namespace and container make a file name of more than 255 characters',
    hint: 'Only a shorter pod name helps here. Checkpoints with "via: Agent" shorten the file name by themselves.',
  },
  {
    status: 500,
    body: /no space left on device|disk quota exceeded/i,
    reason: 'NoSpace',
    why: ({ nodeName }) => `there is no room left on node ${nodeName}`,
    hint: ROOM,
  },
  {
    status: 500,
    body: /code = DeadlineExceeded|context deadline exceeded/i,
    reason: 'TimedOut',
    why: ({ nodeName }) => `the container runtime of node ${nodeName} was not done in time`,
    hint: TIMEOUT,
  },
  {
    status: 500,
    body: /code = Unavailable|connection refused/i,
    reason: 'RuntimeUnavailable',
    why: ({ nodeName }) => `the kubelet of node ${nodeName} does not reach its container runtime`,
    hint: 'Look at the state of containerd or CRI-O on this node.',
  },
  {
    reason: 'KubeletFailed',
    why: ({ nodeName }, { status, body }) =>
      `the kubelet of node ${nodeName} answered ${status}: ${firstLine(body) || 'nothing'}`,
    hint: 'Look at "journalctl -u kubelet" and at the log of the container runtime on the node.',
  },
];

/** @param answers at least one */
export function outcomeOf(
  answers: readonly Answer[],
  subject: Subject,
): { archive: string } | { error: LpmError } {
  const last = answers.at(-1)!;
  if (last.status === 200) {
    const archive = archiveIn(last.body);
    if (archive !== undefined) return { archive };
  }
  const row = rowOf(last);
  const refusedBefore = answers.slice(0, -1).map(({ credential }) => credential);
  const before = refusedBefore.length > 0 ? ` It did not know ${refusedBefore.join(' and ')} either.` : '';
  return {
    error: new LpmError(
      row.reason,
      `Container ${subject.container} of pod ${subject.namespace}/${subject.pod} was not checkpointed: ${row.why(subject, last)}.${before}`,
      { hint: row.hint, log: last.status >= 500 ? last.body.slice(-8192) : '' },
    ),
  };
}

/** The row of the table that an answer without an archive falls under. */
export const rowOf = (answer: Answer): Row =>
  OUTCOMES.find(
    ({ status, code, body }) =>
      (status === undefined || status === answer.status) &&
      (code === undefined || (answer.code !== '' && code.test(answer.code))) &&
      (body === undefined || body.test(answer.body)),
  )!;

/** Nothing was asked: there is nothing to show. */
export function nothingToShow(
  problems: readonly string[],
  { container, namespace, pod, nodeName }: Subject,
): LpmError {
  return new LpmError(
    'KubeletUnauthorized',
    `Container ${container} of pod ${namespace}/${pod} was not checkpointed: the agent of node ${nodeName} has nothing with which the kubelet would know it (${problems.join('; ') || 'nothing is configured'}).`,
    { hint: PROVE },
  );
}

/** After these, the kubelet or its runtime may have gone on without us. */
export const isUnsettled = (answer: Answer): boolean => answer.sent && answer.status === 0;

function archiveIn(body: string): string | undefined {
  try {
    const { items } = JSON.parse(body) as { items?: unknown };
    const [item] = Array.isArray(items) ? (items as unknown[]) : [];
    return typeof item === 'string' ? item : undefined;
  } catch {
    return undefined;
  }
}

const userIn = (body: string): string => {
  const [, user] = /user=([^,)]+)/.exec(body) ?? [];
  return user ? ` (${user})` : '';
};
const firstLine = (body: string): string => (body.split('\n')[0] ?? '').slice(0, 500);
