/** The names of our API, as the testing guide and the manifests have them. */

export const GROUP = 'lpm.my.domain';
export const VERSION = 'v1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** Namespace in which controller and agents run. */
export const SYSTEM_NAMESPACE = 'live-pod-migration-controller-system';

/** Labels of their pods, as selectors. */
export const CONTROLLER_LABEL = 'control-plane=controller-manager';
export const AGENT_LABEL = 'app=checkpoint-agent';

/** Name of the Lease by which the controllers agree on one that acts, and the annotation on it with the version of that one. */
export const CONTROLLER_LEASE = 'lpm-controller';
export const CONTROLLER_VERSION_ANNOTATION = `${GROUP}/controller-version`;

/** Port of the agents' gRPC service on each node (hostPort). */
export const AGENT_PORT = 50051;

/** Port of an agent's transfer service, on the loopback address of its pod only (AGENT_PORT + 1 is its health port). */
export const TRANSFER_PORT = 50053;

/** Where the kubelet and our agents leave archives on a node, and the shared repository, as the agents see them. */
export const KUBELET_CHECKPOINTS = '/var/lib/kubelet/checkpoints';
export const CHECKPOINT_REPOSITORY = '/mnt/checkpoints';

/** Annotation on a checkpoint that asks for an export: SHA-256, in hex, of the ticket. Taken away when it is over. */
export const EXPORT_TICKET_ANNOTATION = `${GROUP}/export-ticket-sha256`;

/** Name of the RuntimeClass and of the runtime handler that restores instead of creating. */
export const RUNTIME_CLASS = 'lpm';

/** Finalizer on a PodMigration while it is active. */
export const FINALIZER = `${GROUP}/migration`;

/** Annotations on a target pod. The runtime handler waits only for pods that carry `migration`. */
export const ANNOTATION = {
  /** UID of the PodMigration that made this pod; the runtime passes it on to the handler. */
  migration: `${GROUP}/migration`,
  /** Namespace-local name of that PodMigration. */
  migrationName: `${GROUP}/migration-name`,
  /** Name of the first pod in a chain of migrations, so that a restored pod of a restored pod is named after it. */
  origin: `${GROUP}/origin`,
  /** Name and UID of the pod that this one continues. */
  sourcePod: `${GROUP}/source-pod`,
  sourcePodUid: `${GROUP}/source-pod-uid`,
} as const;

/** Labels on a node, from what its agent says. `ready` is "true" when a pod can be restored there. */
export const NODE_LABEL = {
  ready: `${GROUP}/ready`,
  runtime: `${GROUP}/runtime`,
  ociRuntime: `${GROUP}/oci-runtime`,
  criu: `${GROUP}/criu`,
} as const;

/** Annotation on a node that is not ready: why. */
export const NODE_ANNOTATION = { problem: `${GROUP}/problem` } as const;

/** Name of the ConfigMap that holds CRIU's logs of a migration (object names have at most 253 characters). */
export function criuLogName(migration: string): string {
  return `${migration.slice(0, 253 - '-criu-log'.length)}-criu-log`;
}

/** Common name of the controller's certificate and the prefix of an agent's. */
export const CONTROLLER_COMMON_NAME = 'lpm-controller';
export const AGENT_COMMON_NAME_PREFIX = 'lpm-agent:';
/** Organizations in client certificates: they are the roles that the agents check per method. */
export const CONTROLLER_ORGANIZATION = 'lpm:controllers';
export const AGENT_ORGANIZATION = 'lpm:agents';

/** Name of the ServiceAccount of the agents. */
export const AGENT_ACCOUNT = 'lpm-checkpoint-agent';

/** The Secret with the key of the authority that signs certificates, and the ConfigMap with what everybody may know of it. */
export const AUTHORITY_SECRET = 'lpm-ca';
export const AUTHORITY_CONFIG_MAP = 'lpm-ca-bundle';
/** Keys of that ConfigMap: certificates (PEM), and "address:port" of those who sign, one a line. */
export const AUTHORITY_CERTIFICATES = 'ca.crt';
export const AUTHORITY_SIGNERS = 'signers';
/** Annotation on the Secret that asks for a new authority now. Taken away when it is there. */
export const ROTATE_ANNOTATION = `${GROUP}/rotate`;

/** The Service of those who sign, its port, and the audience of the tokens that are shown to them. */
export const SIGNER_SERVICE = 'lpm-controller-signer';
export const SIGNER_PORT = 8443;
export const SIGNER_AUDIENCE = 'lpm-controller-signer';
/** DNS name in the certificate of whoever signs, whatever the address. */
export const SIGNER_DNS_NAME = `signer.${GROUP}`;

/** DNS name in an agent's certificate: binds it to its node, so that no agent can answer for another. */
export function agentDnsName(nodeName: string): string {
  return `${nodeName}.agent.${GROUP}`;
}
