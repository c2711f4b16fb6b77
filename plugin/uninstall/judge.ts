/** Whether it may be taken away now, and what a person is told before. Pure. */
import { CliError } from '../cli-error.js';
import { isOver } from '../progress/stuck.js';
import type { Inventory } from './inventory.js';

export interface Wish {
  keepCheckpoints: boolean;
  force: boolean;
}

const MOST_NAMED = 5;

/** @throws CliError when something is in the way and --force was not said */
export function judgeUninstall(found: Inventory, { force }: Wish): void {
  const active = activeOf(found);
  if (active.length > 0 && !force) {
    const names = active.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    throw new CliError(
      `${active.length === 1 ? 'A migration is' : `${active.length} migrations are`} under way: ${few(names)}.`,
      [
        'Wait for the end, or roll back: kubectl migrate list -A, kubectl migrate cancel NAME -n NAMESPACE',
        'With --force all of them are rolled back first.',
      ],
    );
  }
  if (found.restored.length > 0 && !force) {
    const names = found.restored.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    const one = found.restored.length === 1;
    throw new CliError(
      `${one ? 'A restored pod still needs' : `${found.restored.length} restored pods still need`} the runtime handler: ${few(names)}.`,
      [
        `Delete ${one ? 'it' : 'them'} first, or let ${one ? 'its owner' : 'their owners'} make new pods: kubectl delete pod NAME -n NAMESPACE`,
        `With --force ${one ? 'it runs' : 'they run'} on, but no container of ${one ? 'it' : 'them'} can be started again, and kubectl exec does not work there.`,
      ],
    );
  }
}

export const activeOf = ({ migrations }: Inventory) =>
  migrations.filter(({ status = {} }) => !isOver(status));

/** Nodes on which restored pods run: what ends their containers stays there. */
export const neededOn = ({ restored }: Inventory): string[] =>
  [...new Set(restored.flatMap(({ spec }) => spec?.nodeName ?? []))].sort();

/** What will be gone, a sentence a line. */
export function stakes(found: Inventory, { keepCheckpoints, force }: Wish): string[] {
  const active = activeOf(found).length;
  const { migrations, podCheckpoints, containerCheckpoints, containerContents, restored, controllerWorks } =
    found;
  const owned = new Set(podCheckpoints.map(({ metadata }) => metadata.uid));
  // Those of a pod's containers are part of it.
  const alone = containerCheckpoints.filter(
    ({ metadata }) => !metadata.ownerReferences?.some(({ uid }) => owned.has(uid)),
  );
  const checkpoints = podCheckpoints.length + alone.length;
  const kept = containerContents.filter(({ spec }) => spec.deletionPolicy === 'Retain').length;
  const lines = [
    'Controller, agents, roles, namespace and CRDs are taken away from the cluster, and from the nodes what the agents have put there.',
  ];
  if (active > 0 && force)
    lines.push(
      `${count(active, 'migration that is', 'migrations that are')} under way ${active === 1 ? 'is' : 'are'} rolled back.`,
    );
  if (migrations.length > active)
    lines.push(`The record of ${count(migrations.length - active, 'migration', 'migrations')} is deleted.`);
  if (checkpoints > 0) {
    lines.push(
      keepCheckpoints
        ? `${count(checkpoints, 'checkpoint', 'checkpoints')} stay, and the archives.`
        : `${count(checkpoints, 'checkpoint', 'checkpoints')} and the archives are deleted; to keep them: --keep-checkpoints.`,
    );
  }
  if (!keepCheckpoints && kept > 0)
    lines.push(`${count(kept, 'archive', 'archives')} with the policy Retain stay where they lie.`);
  if (!keepCheckpoints && containerContents.length > kept && !controllerWorks) {
    lines.push('The controller does not work, so archives stay where they lie.');
  }
  if (restored.length > 0) {
    lines.push(
      `${count(restored.length, 'restored pod runs', 'restored pods run')} on, but no container of ${restored.length === 1 ? 'it' : 'them'} can be started again, and kubectl exec does not work there.`,
    );
  }
  return lines;
}

/** Archives that nobody deletes, as their contents name them. */
export function archivesLeft({ containerContents }: Inventory, controllerWorks: boolean): string[] {
  return containerContents
    .filter(({ spec }) => spec.deletionPolicy === 'Retain' || !controllerWorks)
    .map(({ spec }) => `${spec.artifactURI} (${spec.nodeName})`);
}

const count = (number: number, one: string, many: string): string => `${number} ${number === 1 ? one : many}`;

const few = (names: string[]): string =>
  names.length > MOST_NAMED
    ? `${names.slice(0, MOST_NAMED).join(', ')} and ${names.length - MOST_NAMED} more`
    : names.join(', ');
