/** What one kind of line in a log of CRIU or of an OCI runtime means. */
export interface CriuRule {
  /**
   * Found in a line without its time and process. The literal parts are those of CRIU's sources (3.17 to 4.2), runc's or
   * crun's; what they print around them differs with the version, so as little as is certain is matched.
   */
  pattern: RegExp;
  /** A clause that goes on after "Container x cannot be checkpointed: ". Groups of the pattern may be told. */
  sentence: string | ((found: RegExpExecArray) => string);
  /** What to do next. */
  hint: string;
}

/** CRIU names paths relative to the container's root: `./proc`, `data/file`. */
export function absolute(path = ''): string {
  return path.replace(/^\.?\/?/, '/');
}
