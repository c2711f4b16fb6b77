/** Builds the plugin anew and packs it into `outdir`. Answers the paths of archive and manifests. */
export function packForKrew(
  outdir: string,
  releaseUrl?: string,
): Promise<{ archive: string; sha256: string; manifests: string[] }>;
