/** What registering the handler with a container runtime comes to: files, as they are and as they are to be. */

export interface FileChange {
  path: string;
  /** undefined: there is no such file. */
  before: string | undefined;
  after: string | undefined;
}

export interface Plan {
  /** In the order in which they are made; taken back in the opposite one. Empty: all is as it is to be. */
  changes: FileChange[];
  /** State folders of the default runtime and of the handler's that are not among the usual ones. */
  runtimeRoots: string[];
  /** Somebody else has registered the handler: it is left as it is. */
  byHand: boolean;
}

/** A program that the configuration of the container runtime names for one of its OCI runtimes. */
export interface NamedProgram {
  /** The OCI runtime's name there. */
  runtime: string;
  /** A path, or a name that is looked for as the container runtime looks for it. */
  program: string;
}

/** A file of the runtime's configuration as it was read. */
export interface ConfigFile {
  path: string;
  text: string;
}

/** Only what changes. */
export const changing = (changes: readonly FileChange[]): FileChange[] =>
  changes.filter(({ before, after }) => before !== after);

/** The changes that take these back. */
export const reversed = (changes: readonly FileChange[]): FileChange[] =>
  [...changes].reverse().map(({ path, before, after }) => ({ path, before: after, after: before }));
