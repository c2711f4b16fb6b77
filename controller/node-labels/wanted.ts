/** What is written on a node about how ready it is, decided from what its agent says. */
import { NODE_ANNOTATION, NODE_LABEL } from '../../common/api/names.js';
import type { Node } from '../../common/kube/types.js';
import type { GetNodeInfoResponse } from '../../proto/gen/lpm/v1/agent.js';

type Info = Pick<
  GetNodeInfoResponse,
  | 'handlerReady'
  | 'handlerProblem'
  | 'criuVersion'
  | 'criuProblem'
  | 'ociRuntime'
  | 'ociRuntimeVersion'
  | 'runtimeName'
  | 'runtimeVersion'
  | 'setUp'
  | 'setUpMessage'
>;

/** A merge patch of the node's metadata; null takes a key away. */
export interface NodePatch {
  metadata: { labels: Record<string, string | null>; annotations: Record<string, string | null> };
}

/**
 * The patch that makes the node say what its agent says, or that the agent has not answered for a while; undefined when it says so
 * already.
 *
 * @param said undefined: the agent does not answer
 */
export function nodePatch(node: Node, said: Info | undefined): NodePatch | undefined {
  const { labels = {}, annotations = {} } = node.metadata;
  // A node on which no agent has ever answered is none of ours.
  if (!said && labels[NODE_LABEL.ready] === undefined) return undefined;
  const problem = said ? problemOf(said) : 'The agent of this node does not answer.';
  const wanted: NodePatch['metadata'] = {
    labels: {
      [NODE_LABEL.ready]: String(problem === ''),
      ...(said
        ? {
            [NODE_LABEL.runtime]: labelValue(said.runtimeName, said.runtimeVersion.replace(/^v/, '')),
            [NODE_LABEL.ociRuntime]: labelValue(said.ociRuntime, said.ociRuntimeVersion),
            [NODE_LABEL.criu]: labelValue(said.criuVersion),
          }
        : {}),
    },
    annotations: { [NODE_ANNOTATION.problem]: problem || null },
  };
  const patch = {
    labels: different(wanted.labels, labels),
    annotations: different(wanted.annotations, annotations),
  };
  const changes = Object.keys(patch.labels).length + Object.keys(patch.annotations).length;
  return changes > 0 ? { metadata: patch } : undefined;
}

/** Why nothing can be restored on the node; empty when it can. */
function problemOf({
  handlerReady,
  handlerProblem,
  criuProblem,
  criuVersion,
  setUp,
  setUpMessage,
}: Info): string {
  const handler = handlerReady ? '' : handlerProblem || 'The runtime handler is not ready.';
  const setting = handler && ['working', 'waiting', 'failed'].includes(setUp) ? setUpMessage : '';
  const criu = criuVersion ? '' : criuProblem || 'There is no CRIU.';
  return [handler, setting, criu].filter(Boolean).join(' ');
}

/** Values of labels are short and plain (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/); null when empty. */
export function labelValue(...parts: string[]): string | null {
  const plain = parts
    .filter(Boolean)
    .join('-')
    .replace(/[^A-Za-z0-9._-]/g, '_');
  return plain.slice(0, 63).replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '') || null;
}

function different(
  wanted: Record<string, string | null>,
  present: Readonly<Record<string, string>>,
): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(wanted).filter(([key, value]) => (present[key] ?? null) !== value),
  );
}
