/**
 * Bundles one TypeScript entry point into one executable .mjs file. Paths are relative to the repository. Only a build with
 * `faults` stops at fault points (common/fault-point.ts); from all others they are removed. `version` is what it says of itself.
 */
export function bundle(
  entry: string,
  outfile: string,
  options?: { minify?: boolean; faults?: boolean; version?: string },
): Promise<void>;
/** Builds the plugin into a folder: kubectl-migrate.mjs, kubectl-checkpoint.mjs and their pieces below plugin/. */
export function bundlePlugin(outdir: string): Promise<void>;
/** The text of the runtime handler's script. */
export function runtimeHandler(options?: { faults?: boolean }): Promise<string>;
export const programs: Record<string, string>;
