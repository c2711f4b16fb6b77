/** Bundles one TypeScript entry point into one executable .mjs file. Paths are relative to the repository. */
export function bundle(entry: string, outfile: string, options?: { minify?: boolean }): Promise<void>;
export const programs: Record<string, string>;
