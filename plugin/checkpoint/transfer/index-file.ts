/** The first entry of an export: what is in it. Read from anywhere, so nothing of it is believed. */
import { CliError } from '../../cli-error.js';

export const INDEX_FILE = 'index.json';
export const archivePath = (container: string): string => `archives/${container}`;

export interface ExportIndex {
  format: 'kubectl-checkpoint';
  version: 1;
  exportedAt: string;
  checkpoint: { kind: string; name: string; namespace: string };
  pod: { name: string; uid: string };
  archives: { container: string; sha256: string; bytes: number }[];
  /** The pod object as JSON; null when the archives do not tell it. */
  podJSON: string | null;
}

const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const UID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MOST_ARCHIVES = 64;

/** @throws CliError when it is none */
export function parseIndex(text: string): ExportIndex {
  const bad = (what: string) =>
    new CliError(`This is no export of a checkpoint: ${what}.`, [
      'Make one with: kubectl checkpoint export NAME -f FILE',
    ]);
  let index: Partial<ExportIndex> | null;
  try {
    index = JSON.parse(text) as Partial<ExportIndex> | null;
  } catch {
    throw bad('its index is not JSON');
  }
  if (index?.format !== 'kubectl-checkpoint') throw bad('its index is of something else');
  if (index.version !== 1)
    throw bad(`it has the version ${String(index.version).slice(0, 20)}, and only 1 is known here`);
  if (!NAME.test(index.pod?.name ?? '') || !UID.test(index.pod?.uid ?? ''))
    throw bad('it does not name its pod');
  const archives = index.archives;
  if (!Array.isArray(archives) || archives.length === 0 || archives.length > MOST_ARCHIVES)
    throw bad('it lists no archives');
  for (const each of archives) {
    if (
      !LABEL.test(each?.container ?? '') ||
      !/^[0-9a-f]{64}$/.test(each.sha256) ||
      !(Number.isSafeInteger(each.bytes) && each.bytes > 0)
    )
      throw bad('its list of archives is damaged');
  }
  if (new Set(archives.map(({ container }) => container)).size !== archives.length)
    throw bad('it lists an archive twice');
  if (index.podJSON !== null && typeof index.podJSON !== 'string') throw bad('its pod is damaged');
  return index as ExportIndex;
}
