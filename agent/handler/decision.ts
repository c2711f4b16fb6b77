/**
 * What the runtime handler (lpm-runtime.sh) decides from what lies on disk, written down once more without effects. The
 * node runs the script; this is what the model of the whole protocol runs, and a test compares the two on any state.
 */

/** Contents of the files of one container and its pod; undefined: there is no such file. */
export interface HandlerFiles {
  claim?: string | undefined;
  executed?: string | undefined;
  attempted: boolean;
  /** Names, one a line. */
  wanted?: string | undefined;
  /** Lines "restore MIGRATION" and "container ID". */
  ready?: string | undefined;
}

export interface ClaimRead {
  word: '' | 'committed' | 'revoked' | 'unreadable';
  by: string;
}

/** A claim that was committed is revoked all the same when the agent has won `executed` for the source's side. */
export function readClaim({ claim, executed }: HandlerFiles): ClaimRead {
  if (claim === undefined) return { word: '', by: '' };
  const [word = '', by = ''] = words(claim);
  if (word !== 'committed') return { word: word === 'revoked' ? 'revoked' : 'unreadable', by };
  if (executed === undefined) return { word, by };
  const [mark = '', takenBy = ''] = words(executed);
  if (mark === 'revoked') return { word: 'revoked', by: takenBy };
  return mark === '' ? { word: 'unreadable', by } : { word, by };
}

export type CreateDecision =
  /** An ordinary create; what is left of the restored container `former` must be taken away first, or nothing is started. */
  { do: 'create'; former?: string } | { do: 'refuse' } | { do: 'wait' };

/** At the beginning of `create` of a container of a pod that a migration made. */
export function atCreate(files: HandlerFiles, name: string): CreateDecision {
  const { word } = readClaim(files);
  if (word === 'revoked' || word === 'unreadable') return { do: 'refuse' };
  if (files.executed !== undefined) {
    const former = lineOf(files.executed, 'container');
    return former === undefined ? { do: 'create' } : { do: 'create', former };
  }
  if (word === 'committed' && files.wanted !== undefined && !files.wanted.split('\n').includes(name)) {
    return { do: 'create' };
  }
  if (files.attempted && word !== 'committed') return { do: 'refuse' };
  return { do: 'wait' };
}

/** While it waits for its state. */
export function whileWaiting(
  files: HandlerFiles,
  containerId: string,
  pastDeadline: boolean,
): 'refuse' | 'restore' | 'wait' {
  if (readClaim(files).word === 'revoked') return 'refuse';
  if (files.ready !== undefined && lineOf(files.ready, 'container') === containerId) return 'restore';
  return pastDeadline ? 'refuse' : 'wait';
}

/** A second attempt is made only after the claim: nothing executes twice, `executed` sees to it. */
export function mayAttempt(files: HandlerFiles, firstAttempt: boolean): boolean {
  return firstAttempt || readClaim(files).word === 'committed';
}

/** In CRIU's post-restore script, after it tried to make the claim. */
export function mayResume(files: HandlerFiles, migration: string): boolean {
  const { word, by } = readClaim(files);
  return word === 'committed' && by === migration;
}

function lineOf(text: string, key: string): string | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${key} `));
  return line?.slice(key.length + 1);
}

function words(text: string): string[] {
  return (text.split('\n')[0] ?? '').trim().split(/\s+/);
}
