/** What of a node decides whether another one can restore what was dumped there: noted on the content, for later. */
import type { ContainerCheckpointContent } from '../../common/api/schema.js';
import type { GetNodeInfoResponse } from '../../proto/gen/lpm/v1/agent.js';

export type MadeOn = NonNullable<ContainerCheckpointContent['spec']['madeOn']>;

export function madeOn(info: GetNodeInfoResponse): MadeOn {
  const { architecture, cgroupVersion, runtimeName, ociRuntime, criuVersion, cpuModel, cpuFlags } = info;
  return { architecture, cgroupVersion, runtimeName, ociRuntime, criuVersion, cpuModel, cpuFlags };
}
