import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** All that agents and handler keep in the state folder (agent/PROTOCOL.md). The folder could be another's too, so they are named. */
const NAMES = [
  'artifacts',
  'pods',
  'logs',
  'archives',
  'restored',
  'kubelet',
  'node-setup',
  // The agent's key.
  'identity.json',
];

/** Removes what is ours in the state folder; answers what is left in it. */
export function removeState(root: string): string[] {
  for (const name of NAMES) rmSync(join(root, name), { recursive: true, force: true });
  return readdirSync(root);
}
