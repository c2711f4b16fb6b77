/** What is fixed when a checkpoint begins. Pure. */
import { containerId } from '../migration/pod-checks.js';
import type { CheckpointObserved } from './decide.js';
import { podTemplate, type PodTemplate } from './template.js';

export interface Begun {
  nodeName: string;
  podUID: string;
  containers: { name: string; containerID: string }[];
  podTemplate?: PodTemplate;
  message: string;
}

/** Only after decideCheckpoint() has answered that it may begin. */
export function beginningOf({ checkpoint, facts, importFacts }: CheckpointObserved): Begun {
  const { import: imported, podName } = checkpoint.spec;
  if (imported) {
    const { node } = importFacts!.place!;
    return {
      nodeName: node,
      podUID: imported.podUID,
      containers: imported.archives.map(({ containerName }) => ({ name: containerName, containerID: '' })),
      message: `Waits for the archives of pod ${podName} to be uploaded to node ${node}.`,
    };
  }
  const pod = facts!.pod!;
  const nodeName = pod.spec!.nodeName!;
  return {
    nodeName,
    podUID: pod.metadata.uid!,
    containers: pod.spec!.containers.map(({ name }) => ({ name, containerID: containerId(pod, name) ?? '' })),
    podTemplate: podTemplate(pod),
    message: `Pod ${podName} is being checkpointed on node ${nodeName}.`,
  };
}
