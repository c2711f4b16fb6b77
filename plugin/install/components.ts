/** Names of manifests/components, for help and completion, which do not load what is in them (test/install/manifests.test.ts compares). */
export const COMPONENTS = [
  'archive-encryption',
  'cert-manager',
  'checkpoint-repo-claim',
  'network-policy',
  'pod-monitor',
] as const;
