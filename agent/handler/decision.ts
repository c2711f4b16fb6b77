/**
 * What the runtime handler (lpm-runtime.sh) decides from what lies on disk, written down once more without effects. The
 * node runs the script; this is what the model of the whole protocol runs, and a test compares the two on any state.
 */

/** Contents of the files of one container and its pod; undefined: there is no such file. */
export interface HandlerFiles {
  claim?: string | undefined;
  attempted: boolean;
  /** Lines "container ID" and "cgroup PATH". */
  held?: string | undefined;
  /** Lines "restore MIGRATION" and "container ID". */
  ready?: string | undefined;
}

function claimWord({ claim }: HandlerFiles): '' | 'committed' | 'revoked' | 'unreadable' {
  if (claim === undefined) return '';
  const [word = ''] = claim.trim().split(/\s+/);
  return word === 'committed' || word === 'revoked' ? word : 'unreadable';
}

export type CreateDecision =
  /** An ordinary create; what is left of the restored container `former` must be taken away first, or nothing is started. */
  { do: 'create'; former?: string } | { do: 'refuse' } | { do: 'wait' };

/** At the beginning of `create` of a container of a pod that a migration made. */
export function atCreate(files: HandlerFiles): CreateDecision {
  const word = claimWord(files);
  if (word === 'committed') {
    const former = files.held === undefined ? undefined : lineOf(files.held, 'container');
    return former === undefined ? { do: 'create' } : { do: 'create', former };
  }
  return { do: word !== '' || files.attempted ? 'refuse' : 'wait' };
}

/** While it waits for its state. */
export function whileWaiting(
  files: HandlerFiles,
  containerId: string,
  pastDeadline: boolean,
): 'refuse' | 'restore' | 'wait' {
  if (claimWord(files) !== '') return 'refuse';
  if (files.ready !== undefined && lineOf(files.ready, 'container') === containerId) return 'restore';
  return pastDeadline ? 'refuse' : 'wait';
}

/** In CRIU's post-restore script: whether what is restored may be held, or is killed at once. */
export function mayHold(files: HandlerFiles): boolean {
  return claimWord(files) === '';
}

function lineOf(text: string, key: string): string | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${key} `));
  return line?.slice(key.length + 1);
}
