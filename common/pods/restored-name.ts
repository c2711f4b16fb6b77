/** The name of a restored pod. */
import { ANNOTATION } from '../api/names.js';
import type { Pod } from '../kube/types.js';

/** Longest name of a pod (a DNS-1123 subdomain). */
const MAX_NAME = 253;

/** The first pod of the chain that this one belongs to: the restored pod of a restored pod is named after it. */
export function originOf(pod: Pod): string {
  return pod.metadata.annotations?.[ANNOTATION.origin] ?? pod.metadata.name;
}

/** `<origin>-restored`, or with -2, -3, … the first that is not taken. */
export function restoredName(origin: string, isTaken: (name: string) => boolean): string {
  for (let n = 1; ; n += 1) {
    const suffix = n === 1 ? '-restored' : `-restored-${n}`;
    const name = origin.slice(0, MAX_NAME - suffix.length).replace(/[-.]+$/, '') + suffix;
    if (!isTaken(name)) return name;
  }
}
