import { dirname, join } from 'node:path';

/** A program that may be the runc which the handler calls. */
export interface Candidate {
  path: string;
  /** Name of the runtime in the container runtime's configuration that has this program. */
  runtime?: string | undefined;
}

export interface KnownPrograms {
  /** Of the container runtime's configuration, the default runtime's first; those that are not there left out. */
  configured: readonly Required<Candidate>[];
  /** What the container runtime finds by the name runc. */
  inPath: string | undefined;
}

/**
 * Where a runc of the node's own may be, in the order in which it is taken: the handler needs one whatever the node's default runtime
 * is, for crun cannot restore a container into another cgroup (seen with 1.28). CRI-O's packages have both side by side, outside of
 * any PATH.
 */
export function runcCandidates({ configured, inPath }: KnownPrograms): Candidate[] {
  const beside = configured.map(({ path }) => ({ path: join(dirname(path), 'runc') }));
  const all: Candidate[] = [...configured, ...beside, ...(inPath === undefined ? [] : [{ path: inPath }])];
  return all.filter(({ path }, index) => all.findIndex((each) => each.path === path) === index);
}
