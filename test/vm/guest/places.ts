/** Names that both sides know: what the host puts into the guest, and where the guest finds it. */

export const guestNode = 'node-v2';
export const criSocket = '/run/containerd/containerd.sock';

export const guestFiles = {
  agent: '/opt/lpm-guest/agent.mjs',
  scenarios: '/opt/lpm-guest/scenarios.mjs',
  /** JSON: ca, cert, key. */
  controllerTls: '/opt/lpm-guest/controller-tls.json',
  /** OCI archives, named by their references (as encodeURIComponent writes them). */
  images: '/opt/lpm-guest/images',
} as const;
