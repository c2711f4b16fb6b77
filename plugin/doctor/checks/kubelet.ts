/**
 * The kubelet's checkpoint API, which only checkpoints with `via: Kubelet` need: nothing here is a failure. Asked for a pod that does
 * not exist, a kubelet that has it says so; one that has not knows no such path (KEP-2008).
 */
import type { Node } from '../../../common/kube/types.js';
import { Check, type Finding } from '../finding.js';
import type { KubeletAnswer, Observed } from '../observed.js';
import { INSTALL } from './words.js';

const ONLY = 'checkpoints with --via kubelet fail; migrations and other checkpoints do not need it';

export function kubelets(
  { kubelets: asked, agentMayCheckpoint }: Observed,
  nodes: readonly Node[],
): Finding[] {
  const check = new Check('kubelet-checkpoint');
  return [
    ...mayAgents(agentMayCheckpoint),
    ...nodes.map((node) => {
      const { name } = node.metadata;
      const answer = asked.get(name);
      if (!answer) return check.on(name).unknown('It was not asked.');
      if ('hidden' in answer) return check.on(name).unknown(answer.hidden);
      return judge(check.on(name), node, answer.seen);
    }),
  ];
}

function mayAgents(may: Observed['agentMayCheckpoint']): Finding[] {
  const check = new Check('kubelet-access');
  if ('hidden' in may) return [check.unknown(may.hidden)];
  if (may.seen) return [check.ok('the agents may create nodes/checkpoint')];
  return [
    check.warn(`The agents may not create nodes/checkpoint: ${ONLY}.`, `${INSTALL} # makes their role`),
  ];
}

function judge(check: Check, { metadata, status }: Node, { code, text }: KubeletAnswer): Finding {
  const version = status?.nodeInfo?.kubeletVersion ?? '';
  if (code === 404 && /page not found/i.test(text)) {
    return check.warn(
      `The kubelet ${version} does not serve checkpoints: ${ONLY}.`,
      "printf 'featureGates:\\n  ContainerCheckpoint: true\\n' >> /var/lib/kubelet/config.yaml && systemctl restart kubelet # on " +
        `${metadata.name}, for Kubernetes 1.25 to 1.29; later ones have it on`,
    );
  }
  // The pod that was asked for does not exist: the API is there and has looked for it.
  if (code === 404 || (code >= 200 && code < 300)) return check.ok(`served by kubelet ${version}`);
  if (code === 401 || code === 403) {
    return check.unknown(`The kubelet does not let itself be asked (HTTP ${code}): ${text.trim()}`);
  }
  return check.warn(
    `The kubelet ${version} answers HTTP ${code}: ${text.trim()} (${ONLY}).`,
    `journalctl -u kubelet -n 50 # on ${metadata.name}`,
  );
}
