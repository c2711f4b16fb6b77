/** Decides from what was observed whether a wish makes sense, and says what a person got wrong. Pure. */
import type { Node, Pod } from '../../common/kube/types.js';
import { CliError } from '../cli-error.js';
import { either, near } from '../text/suggest.js';
import { notInstalled } from './installed.js';
import type { Found, Observed, Question } from './observe.js';
import { unknownNode } from './unknown-node.js';

/** How the program was called, for hints (Invocation is one). */
export interface Caller {
  program: string;
  /** A command line with the flags that reach the same cluster and namespace. */
  again(command: string): string;
}

export interface Judgement {
  pod: Pod | undefined;
  /** What a person should know although it is no obstacle. */
  notes: string[];
}

/** Throws CliError with the first obstacle. */
export function judgeMigration(caller: Caller, question: Question, observed: Observed): Judgement {
  const { pod, notes } = judgePod(caller, question, observed);
  const { namespace, node, restoredName } = question;
  if (observed.active) {
    const { name } = observed.active.metadata;
    throw new CliError(`The pod ${namespace}/${question.pod} is being migrated already, by ${name}.`, [
      `Follow it with: ${caller.again(`${caller.program} status ${name} -w`)}`,
    ]);
  }
  if (restoredName !== undefined && observed.nameTaken) {
    throw new CliError(
      `There is a pod named "${restoredName}" in namespace "${namespace}" already, so the restored pod cannot have that name.`,
      [
        'Choose another one with --name, or leave --name out: then the restored pod is named after its origin.',
      ],
    );
  }
  if (node !== undefined && observed.node) notes.push(...judgeNode(node, observed.node));
  if (node !== undefined && pod?.spec?.nodeName === node) {
    notes.push(`the pod runs on ${node} already: it is checkpointed and restored on the same node`);
  }
  return { pod, notes };
}

/** The part that a checkpoint needs: our API is there, and the pod runs. */
export function judgePod(caller: Caller, question: Question, observed: Observed): Judgement {
  if (!observed.crds) throw notInstalled();
  if ('hidden' in observed.pod) return { pod: undefined, notes: [] };
  if (observed.pod.found === undefined) throw unknownPod(caller, question, observed, observed.pod.others);
  requireRunning(caller, observed.pod.found, question);
  return { pod: observed.pod.found, notes: [] };
}

function unknownPod(caller: Caller, question: Question, observed: Observed, others: string[]): CliError {
  const { namespace, pod } = question;
  const hints: string[] = [];
  const elsewhere = observed.podElsewhere.filter((other) => other !== namespace);
  if (elsewhere.length > 0) {
    hints.push(
      `There is one in namespace ${either(elsewhere.slice(0, 3))}: ${caller.program} … -n ${elsewhere[0] ?? ''}`,
    );
  }
  const similar = near(pod, others);
  if (similar.length > 0) hints.push(`Did you mean ${either(similar)}?`);
  else if (elsewhere.length === 0) hints.push(`List the pods with: ${caller.again('kubectl get pods')}`);
  return new CliError(`There is no pod "${pod}" in namespace "${namespace}".`, hints);
}

function requireRunning(caller: Caller, pod: Pod, { namespace, pod: name }: Question): void {
  const look = `Look at it with: ${caller.again(`kubectl describe pod ${name}`)}`;
  if (pod.metadata.deletionTimestamp) {
    throw new CliError(
      `The pod ${namespace}/${name} is being deleted, so there is nothing left to save of it.`,
      [`If another pod takes its place, name that one: ${caller.again('kubectl get pods')}`],
    );
  }
  const phase = pod.status?.phase ?? 'Unknown';
  if (phase !== 'Running') {
    const ended = phase === 'Succeeded' || phase === 'Failed';
    throw new CliError(
      `The pod ${namespace}/${name} is ${phase}, not Running: ${ended ? 'its processes have ended' : 'it has no processes yet'}.`,
      [
        ended
          ? look
          : `Wait for it with: ${caller.again(`kubectl wait --for=condition=Ready pod/${name} --timeout=60s`)}`,
      ],
    );
  }
  const broken = (pod.status?.containerStatuses ?? []).find(({ state }) => state?.waiting);
  if (broken) {
    const { reason, message } = broken.state?.waiting ?? {};
    const why = reason ?? message ?? 'waiting';
    throw new CliError(`The container "${broken.name}" of pod ${namespace}/${name} does not run (${why}).`, [
      look,
    ]);
  }
}

/** Notes about the target node; throws when it cannot take a pod. */
function judgeNode(name: string, node: Found<Node>): string[] {
  if ('hidden' in node) {
    return [`you may not read nodes, so whether ${name} exists and is ready is left to the controller`];
  }
  if (node.found === undefined) throw unknownNode(name, node.others);
  const ready = node.found.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True') {
    const why = ready?.reason ? ` (${ready.reason})` : '';
    throw new CliError(`The node ${name} is not ready${why}, so it cannot take a pod.`, [
      `Look at it with: kubectl describe node ${name}`,
      'Or choose another node: kubectl get nodes',
    ]);
  }
  return node.found.spec?.unschedulable ? [`the node ${name} is cordoned; it was named, so it is used`] : [];
}
