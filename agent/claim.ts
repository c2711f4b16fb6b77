import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Claim } from '../proto/gen/lpm/v1/agent.js';
import { isLabel } from './names.js';
import { readText } from './oci.js';
import { createOnce, syncPath } from './state.js';

/**
 * Which side may execute (PROTOCOL.md): the file `claim` of a pod, made once and never changed, and the file `executed` of
 * its container, likewise. The agent only ever writes `revoked` into either; what stands for the target's side is written
 * by the runtime handler: `claim` at CRIU's post-restore, `executed` at its pre-resume.
 */
export interface ClaimState {
  claim: Claim;
  /** UID of the migration that made it. */
  by: string;
}

/** Who holds the claim; one that was committed and taken back before anything executed counts as revoked. */
export function readClaim(podDir: string): ClaimState {
  const state = readClaimFile(podDir);
  if (state.claim !== Claim.CLAIM_COMMITTED) return state;
  for (const folder of wantedContainers(podDir)) {
    const mark = readExecuted(folder);
    if (mark.by === 'source') return { claim: Claim.CLAIM_REVOKED, by: mark.revokedBy };
  }
  return state;
}

function readClaimFile(podDir: string): ClaimState {
  let text: string;
  try {
    text = readFileSync(join(podDir, 'claim'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { claim: Claim.CLAIM_NONE, by: '' };
    throw error;
  }
  // Somebody may act on what is told here, so it must outlive a crash even if its maker has not synced it yet.
  syncPath(podDir);
  const [word, by = ''] = text.trim().split(' ');
  if (word === 'committed') return { claim: Claim.CLAIM_COMMITTED, by };
  if (word === 'revoked') return { claim: Claim.CLAIM_REVOKED, by };
  throw new Error(`${podDir}/claim holds neither committed nor revoked`);
}

/** Who has won the mark `executed` of a container: the target (its processes have executed), or the source (they never will). */
export type Executed = { by: 'nobody' } | { by: 'target' } | { by: 'source'; revokedBy: string };

export function readExecuted(containerFolder: string): Executed {
  const file = join(containerFolder, 'executed');
  const text = readText(file);
  // It appears with its whole contents, so an empty one is a mark that cannot be read: never taken for nobody's.
  if (text === '' && !existsSync(file)) return { by: 'nobody' };
  syncPath(containerFolder);
  const [word, by = ''] = text.trim().split(/[ \n]/);
  return word === 'revoked' ? { by: 'source', revokedBy: by } : { by: 'target' };
}

/**
 * Claims for the source's side; answers who holds it. Where the target holds the claim but nothing has executed yet, the
 * mark `executed` is taken in its place: link(2) lets either this or CRIU's pre-resume script have it, so the answer is final.
 */
export function claimRevoked(podDir: string, restoreUid: string): ClaimState {
  mkdirSync(podDir, { recursive: true, mode: 0o700 });
  syncPath(join(podDir, '..'));
  createOnce(join(podDir, 'claim'), `revoked ${restoreUid}\n`);
  const state = readClaim(podDir);
  if (state.claim !== Claim.CLAIM_COMMITTED) return state;
  const folders = wantedContainers(podDir);
  // Of several containers one might be taken back while another executes. Restores of several are refused (restore.ts).
  if (folders.length !== 1) return state;
  createOnce(join(folders[0]!, 'executed'), `revoked ${restoreUid}\n`);
  return readClaim(podDir);
}

/** Folders of the containers that are restored; another one (kubectl debug) has no part in the claim. */
function wantedContainers(podDir: string): string[] {
  const wanted = readText(join(podDir, 'wanted')).split('\n').filter(isLabel);
  return wanted.map((name) => join(podDir, 'containers', name)).filter((folder) => existsSync(folder));
}
