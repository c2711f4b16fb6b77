/** Who asks for a certificate: the pod that a token is bound to, and the node that this runs on. */
import { AGENT_ACCOUNT, AGENT_LABEL, SIGNER_AUDIENCE } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod, TokenReviewStatus } from '../../common/kube/types.js';

/** The kubelet's own are about 1,200 bytes. */
const MAX_TOKEN_BYTES = 16 * 1024;

/** Whether a text may be a token for us: what cannot be one is not worth a question to the API server. It proves nothing. */
export function mayBeToken(token: string): boolean {
  if (token.length > MAX_TOKEN_BYTES) return false;
  const parts = token.split('.');
  if (parts.length !== 3) return false;
  try {
    const { aud } = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString()) as { aud?: unknown };
    return [aud].flat().includes(SIGNER_AUDIENCE);
  } catch {
    return false;
  }
}

/** Names in a user's extra fields (https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/). */
const EXTRA = {
  podName: 'authentication.kubernetes.io/pod-name',
  podUid: 'authentication.kubernetes.io/pod-uid',
  nodeName: 'authentication.kubernetes.io/node-name',
} as const;

export interface BoundPod {
  name: string;
  uid: string;
  /** Since Kubernetes 1.30 the API server tells it. */
  nodeName?: string;
}

/** The pod that a reviewed token is bound to. Throws NotAuthorized when it is not the token of an agent. */
export function boundPod(review: TokenReviewStatus, namespace: string): BoundPod {
  // Who does not know audiences answers none, and would accept a token for anybody (the API of TokenReview says to look).
  if (!review.authenticated || !review.audiences?.includes(SIGNER_AUDIENCE)) {
    throw refused(review.error ?? 'it is not valid');
  }
  const { username, extra = {} } = review.user ?? {};
  if (username !== `system:serviceaccount:${namespace}:${AGENT_ACCOUNT}`) {
    throw refused(`it is that of ${username ?? 'nobody'}`);
  }
  const first = (key: string): string | undefined => extra[key]?.[0];
  const [name, uid, nodeName] = [first(EXTRA.podName), first(EXTRA.podUid), first(EXTRA.nodeName)];
  if (!name || !uid) throw refused('it is not bound to a pod');
  return { name, uid, ...(nodeName ? { nodeName } : {}) };
}

/** The node that an agent's pod speaks for. Throws NotAuthorized when the pod is none of our agents', or another one by now. */
export function nodeOfAgent(bound: BoundPod, pod: Pod | undefined): string {
  const { name, uid } = bound;
  if (!pod || pod.metadata.uid !== uid) throw refused(`its pod ${name} is gone`);
  const [label = '', value] = AGENT_LABEL.split('=');
  if (pod.metadata.labels?.[label] !== value || pod.spec?.serviceAccountName !== AGENT_ACCOUNT) {
    throw refused(`its pod ${name} is no agent`);
  }
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
    throw refused(`its pod ${name} has ended`);
  }
  const nodeName = pod.spec.nodeName;
  if (!nodeName || (bound.nodeName && bound.nodeName !== nodeName)) {
    throw refused(`its pod ${name} is not on the node that it was issued on`);
  }
  return nodeName;
}

/** The node of the agent that a token belongs to. */
export async function nodeOfToken(client: KubeClient, namespace: string, token: string): Promise<string> {
  if (!mayBeToken(token)) throw refused(`it is no token for ${SIGNER_AUDIENCE}`);
  const { status } = await client.tokenReviews.create({
    spec: { token, audiences: [SIGNER_AUDIENCE] },
  });
  const bound = boundPod(status ?? {}, namespace);
  return nodeOfAgent(bound, await client.pods.find(bound.name, namespace));
}

const refused = (why: string): LpmError =>
  new LpmError('NotAuthorized', `The token does not allow a certificate: ${why}.`);
