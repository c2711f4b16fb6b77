import { LpmError } from '../common/errors.js';
import { scanTar } from './tar-scan.js';

/** The names of an archive that passed, for the check of a deletion list that belongs to it. */
export interface CheckedTar {
  directories: ReadonlySet<string>;
  members: number;
}

/**
 * Checks an archive so that GNU tar, extracting it as root into a folder, can write nowhere else:
 *  - names are relative and plain, and none comes twice;
 *  - every member's parent is a directory member before it. GNU tar makes a directory member a real directory, also
 *    where a symbolic link lay (it does not follow one without --keep-directory-symlink), so no parent is ever a link;
 *  - a hard link names a regular member before it;
 *  - no devices: a whiteout of overlayfs is one, and is carried in the deletion list instead.
 * Where a symbolic link points does not matter then: nothing is ever written through one.
 *
 * @throws ArtifactInvalid
 */
export async function checkTar(path: string): Promise<CheckedTar> {
  const bad = (what: string): LpmError => new LpmError('ArtifactInvalid', `The archive ${path} ${what}.`);
  const directories = new Set<string>();
  const others = new Set<string>();
  const files = new Set<string>();
  let members = 0;
  for await (const member of scanTar(path)) {
    members++;
    const { name, type } = member;
    if (directories.has(name) || others.has(name)) throw bad(`holds "${name}" twice`);
    if (name !== '') {
      const slash = name.lastIndexOf('/');
      const parent = slash < 0 ? '' : name.slice(0, slash);
      if (!directories.has(parent)) throw bad(`holds "${name}" without the folder it is in before it`);
    } else if (type !== 'directory') throw bad('begins with something that is no folder');
    switch (type) {
      case 'directory':
        directories.add(name);
        break;
      case 'hardlink': {
        const target = member.linkName.replace(/^\.\//, '');
        if (!files.has(target))
          throw bad(`holds "${name}", a hard link to "${target}" that is no file before it`);
        others.add(name);
        files.add(name);
        break;
      }
      case 'device':
        throw bad(`holds the device node "${name}"`);
      case 'file':
        files.add(name);
        others.add(name);
        break;
      case 'symlink':
      case 'fifo':
        others.add(name);
        break;
    }
  }
  return { directories, members };
}

/**
 * Checks a deletion list against the archive that goes with it: plain relative paths whose parents are directory members
 * (the writable layer holds the folder of everything that was deleted).
 *
 * @param text JSON array of paths, as podman's and CRI-O's deleted.files
 * @throws ArtifactInvalid
 */
export function checkDeletions(text: string, directories: ReadonlySet<string>): string[] {
  const bad = (what: string): LpmError => new LpmError('ArtifactInvalid', `The deletion list ${what}.`);
  let paths: unknown;
  try {
    paths = JSON.parse(text);
  } catch {
    throw bad('is not JSON');
  }
  if (!Array.isArray(paths)) throw bad('is not a list');
  return paths.map((path: unknown) => {
    if (typeof path !== 'string' || path === '' || path.startsWith('/') || path.includes('\0')) {
      throw bad(`holds ${JSON.stringify(path)}, which is not a relative path`);
    }
    const parts = path.split('/');
    if (parts.some((part) => part === '' || part === '.' || part === '..')) {
      throw bad(`holds "${path}", which is not a plain path`);
    }
    const parent = parts.slice(0, -1).join('/');
    if (!directories.has(parent)) throw bad(`holds "${path}", whose folder is not in the archive`);
    return path;
  });
}
