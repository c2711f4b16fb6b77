/** Names of manifests/components, for help and completion, which do not load what is in them (test/install/manifests.test.ts compares). */
export const COMPONENTS = [
  'archive-encryption',
  'cert-manager',
  'checkpoint-repo-claim',
  'manual-node-setup',
  'network-policy',
  'nfs',
  'pod-monitor',
  'service-monitor',
] as const;
export type ComponentName = (typeof COMPONENTS)[number];

/** What a component changes that another one brings. */
const NEEDS: Partial<Record<ComponentName, ComponentName[]>> = { nfs: ['checkpoint-repo-claim'] };

/** The components that were asked for and what they need, in an order in which each finds what it changes. */
export function complete(wanted: readonly ComponentName[]): ComponentName[] {
  const all = new Set(wanted.flatMap((name) => [...(NEEDS[name] ?? []), name]));
  return COMPONENTS.filter((name) => all.has(name));
}
