import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Claim } from '../proto/gen/lpm/v1/agent.js';
import { createOnce, syncPath } from './state.js';

/**
 * Which side may execute (PROTOCOL.md): the file `claim` of a pod, made once and never changed. The agent makes it, for the
 * target's side before it lets the restored processes go, or for the source's side. Only where they run already, because
 * something was killed that should have held them, the runtime handler makes it for the target's.
 */
export interface ClaimState {
  claim: Claim;
  /** UID of the migration that made it. */
  by: string;
}

export function readClaim(podDir: string): ClaimState {
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

/** Claims for the source's side; answers who holds it, for good. */
export function claimRevoked(podDir: string, restoreUid: string): ClaimState {
  mkdirSync(podDir, { recursive: true, mode: 0o700 });
  syncPath(join(podDir, '..'));
  createOnce(join(podDir, 'claim'), `revoked ${restoreUid}\n`);
  return readClaim(podDir);
}

/** Claims for the target's side: the commit. Answers who holds it, for good. */
export function claimCommitted(podDir: string, restoreUid: string): ClaimState {
  createOnce(join(podDir, 'claim'), `committed ${restoreUid}\n`);
  return readClaim(podDir);
}
