/** All checks, in the order in which one depends on another. Pure. */
import type { Node } from '../../common/kube/types.js';
import { agents } from './checks/agents.js';
import { apiServer } from './checks/api-server.js';
import { agentCertificates, certificates } from './checks/certificates.js';
import { clocks } from './checks/clocks.js';
import { controller, leader } from './checks/controller.js';
import { crds } from './checks/crds.js';
import { runtimeClass, systemNamespace } from './checks/installation.js';
import { kubelets } from './checks/kubelet.js';
import { frozen, migrations } from './checks/migrations.js';
import { nodeSetUp } from './checks/node-setup.js';
import { repository } from './checks/repository.js';
import { rights } from './checks/rights.js';
import { Check, type Finding } from './finding.js';
import type { Observed } from './observed.js';

/** @param only the node that alone is looked at */
export function findings(observed: Observed, only?: string): Finding[] {
  const { nodes } = observed;
  const all = 'seen' in nodes ? nodes.seen : [];
  const looked = all
    .filter(({ metadata }) => only === undefined || metadata.name === only)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const perNode = (judge: (nodes: readonly Node[]) => Finding[]): Finding[] => judge(looked);
  return [
    ...apiServer(observed),
    ...crds(observed),
    ...systemNamespace(observed),
    ...runtimeClass(observed),
    ...controller(observed),
    ...leader(observed),
    ...('hidden' in nodes ? [new Check('nodes').unknown(nodes.hidden)] : []),
    ...perNode((each) => agents(observed, each)),
    ...perNode(nodeSetUp),
    ...certificates(observed),
    ...perNode((each) => agentCertificates(observed, each)),
    ...repository(observed),
    ...perNode((each) => kubelets(observed, each)),
    ...perNode((each) => clocks(observed, each)),
    ...rights(observed),
    ...migrations(observed),
    ...perNode((each) => frozen(observed, each)),
  ];
}
