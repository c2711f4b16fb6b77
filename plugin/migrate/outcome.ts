import { GROUP } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import { messageOf } from '../../common/errors.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import type { Outcome } from '../await-outcome.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { Invocation } from '../invocation.js';
import type { ObjectFormat } from '../output/format.js';
import { put } from '../output/print.js';
import { stuckLines } from '../progress/stuck.js';
import { failureLines, migrationSummary } from '../progress/summary.js';
import { flow, paint, type Terminal } from '../terminal.js';

export const MIGRATION_RESOURCE = `podmigration.${GROUP}`;

const RUNS_ON = /\bruns on\b.* as before|\bruns on as before\b/;

/** Reasons behind which there is a log of CRIU. */
const FROM_CRIU = /^Criu(?:Dump|Restore)Failed$/;

interface Report {
  invocation: Invocation;
  terminal: Terminal;
  client: KubeClient;
  name: string;
  outcome: Outcome<PodMigration>;
  output?: ObjectFormat;
}

/** Tells how waiting for a migration ended: the result on stdout, what went wrong on stderr. */
export async function reportOutcome(report: Report): Promise<ExitCode> {
  const { invocation, terminal, name, outcome, output } = report;
  // Also for what `kubectl checkpoint restore` has begun.
  const program = invocation.program.replace('checkpoint', 'migrate');
  const again = (flags = '') => invocation.again(`${program} status ${name}${flags}`);
  const lookAtPods = invocation.again('kubectl get pods -o wide');
  const { red, yellow } = paint(terminal.color);
  const warn = (migration: PodMigration) => {
    for (const text of migration.status?.warnings ?? [])
      terminal.err(yellow(flow(terminal, `warning: ${text}`)));
  };
  if (outcome.object) await put(terminal, outcome.object, output, MIGRATION_RESOURCE);
  switch (outcome.how) {
    case 'succeeded':
      // The display draws warnings only while it runs; as plain lines they stand there already.
      if (terminal.live) warn(outcome.object);
      if (!output) terminal.out(migrationSummary(outcome.object).join('\n'));
      return EXIT.done;
    case 'failed': {
      const [what = '', ...rest] = failureLines(outcome.object);
      const { sentence: source } = await sourceOf(report.client, outcome.object, lookAtPods);
      // The controller's sentence may have said so already; what the cluster says now counts more, if it differs.
      const said = RUNS_ON.test(source) && RUNS_ON.test(what);
      const [first = '', ...others] = [`error: ${what}`, ...rest, ...(said || !source ? [] : [source])].map(
        (line) => flow(terminal, line),
      );
      terminal.err([red(first), ...others].join('\n'));
      terminal.err(`More with: ${again()}`);
      if (FROM_CRIU.test(outcome.object.status?.reason ?? '')) {
        terminal.err(`CRIU's own log: ${invocation.again(`${program} logs ${name}`)}`);
      }
      return EXIT.failed;
    }
    case 'deleted':
      terminal.err(`error: The migration ${name} was deleted before it had ended.`);
      terminal.err(`See what became of the pod with: ${lookAtPods}`);
      return EXIT.failed;
    case 'timedOut':
      terminal.err(
        `error: Waited long enough: the migration ${name} is still ${outcome.object?.status?.phase ?? 'not taken up by the controller'}.`,
      );
      for (const line of outcome.object ? stuckLines(outcome.object, Date.now()) : []) {
        terminal.err(flow(terminal, line));
      }
      terminal.err(`Look again with: ${again(' -w')}`);
      return EXIT.timedOut;
    case 'detached':
      terminal.err(`Detached; the migration ${name} goes on in the cluster.`);
      terminal.err(`Look again with: ${again(' -w')}`);
      if (!outcome.object?.spec.cancel) {
        terminal.err(`Cancel it with: ${invocation.again(`${program} cancel ${name}`)}`);
      }
      return EXIT.detached;
  }
}

/** What is known of the source of a migration that failed. */
export interface Source {
  /** It runs on untouched; undefined when we may not look. */
  runsOn: boolean | undefined;
  sentence: string;
}

/** Whether the pod of a failed migration runs on, as the cluster says it, not as it is hoped. */
export async function sourceOf(client: KubeClient, migration: PodMigration, look: string): Promise<Source> {
  const { metadata, spec, status = {} } = migration;
  const namespace = metadata.namespace ?? 'default';
  try {
    return judgeSource(migration, await client.pods.find(spec.podName, namespace), look);
  } catch (error) {
    const sentence = `Whether the pod runs on could not be seen (${messageOf(error)}); it was on ${status.sourceNode ?? 'its node'}: ${look}`;
    return { runsOn: undefined, sentence };
  }
}

/** Pure part of sourceOf. */
export function judgeSource(migration: PodMigration, pod: Pod | undefined, look: string): Source {
  const { metadata, spec, status = {} } = migration;
  const name = `${metadata.namespace ?? 'default'}/${spec.podName}`;
  // Of what became of the pod of a saved checkpoint a restore tells nothing: it does nothing to it.
  if (spec.fromCheckpoint) return { runsOn: undefined, sentence: '' };
  const not = (sentence: string): Source => ({ runsOn: false, sentence });
  if (!pod) {
    // Never existed as far as the controller saw: then there is nothing to look after.
    return not(status.sourcePodUID ? `The pod ${name} is not there any more; look with: ${look}` : '');
  }
  if (status.sourcePodUID && pod.metadata.uid !== status.sourcePodUID) {
    return not(`Another pod has taken the name ${name} since; look with: ${look}`);
  }
  const node = pod.spec?.nodeName ?? '?';
  if (pod.status?.phase === 'Running' && !pod.metadata.deletionTimestamp) {
    const restarted = status.sourceContainers?.find(({ name: container, containerID }) => {
      const now = pod.status?.containerStatuses?.find((entry) => entry.name === container)?.containerID;
      return now !== undefined && now.replace(/^.*:\/\//, '') !== containerID;
    });
    if (restarted) {
      return not(
        `The pod ${name} runs on node ${node}, but its container "${restarted.name}" was restarted meanwhile; look with: ${look}`,
      );
    }
    return { runsOn: true, sentence: `The pod ${name} runs on, on node ${node}, as before.` };
  }
  const state = pod.metadata.deletionTimestamp ? 'being deleted' : (pod.status?.phase ?? 'Unknown');
  return not(`The pod ${name} is ${state}; look with: ${look}`);
}
