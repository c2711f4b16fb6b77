/** What of a container's state a runtime's checkpoint leaves out, each in a sentence. Pure. */

export interface Saved {
  /** As CRI Version tells: containerd, cri-o. */
  runtimeName: string;
  container: string;
  /** The other containers of the pod that ran at that time. */
  others: readonly string[];
  /** emptyDir volumes of the container, by name, with the paths at which it has them. */
  emptyDirs: readonly { name: string; path: string }[];
}

export function gapsOf({ runtimeName, container, others, emptyDirs }: Saved): string[] {
  const gaps = emptyDirs.map(
    ({ name, path }) => `The contents of the emptyDir volume ${name} (${path}) are not in it.`,
  );
  gaps.push('The contents of /dev/shm are not in it.');
  if (others.length > 0) {
    gaps.push(
      `The kubelet saves one container after the other: ${others.join(', ')} went on while ${container} was saved.`,
    );
  }
  if (/cri-?o/i.test(runtimeName)) {
    gaps.push(
      'Files of the image that were modified in place are lost: CRI-O saves only new and deleted ones.',
    );
  }
  gaps.push(
    `No pod is restored from it here: an archive of ${runtimeName} is for ${runtimeName}’s own restore.`,
  );
  return gaps;
}
