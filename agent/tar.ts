import { chmod } from 'node:fs/promises';
import type { Host } from './host.js';

interface Packing {
  /** Folder whose contents are packed; as a path of this process. */
  folder: string;
  archive: string;
  /** Relative paths to pack, folders first and not descended into; all of the folder when not given. */
  members?: readonly string[];
  /** Folders that may change while they are read, as tar names them: what is in them does not. */
  changing?: readonly string[];
}

/**
 * Packs files with GNU tar: owners by number, extended attributes (file capabilities too), holes kept.
 *
 * @throws CollectFailed, also when a file changes while it is read: everything is frozen then, so none may
 */
export async function createTar(
  host: Host,
  { folder, archive, members, changing = [] }: Packing,
): Promise<void> {
  const all = members === undefined;
  const argv: [string, ...string[]] = [
    'tar',
    '--create',
    `--file=${archive}`,
    '--format=posix',
    // No times of access and no process ID in the names of extended headers: the same files give the same archive.
    '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
    '--sparse',
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=*',
    `--directory=${folder}`,
    ...(all ? ['.'] : ['--no-recursion', '--null', '--verbatim-files-from', '--files-from=-']),
  ];
  const stdin = all ? undefined : ['.', ...members.map((each) => `./${each}`)].join('\0');
  const harmless = new Set(changing.map((name) => `tar: ${name}: file changed as we read it`));
  await host.must('CollectFailed', `${folder} cannot be packed`, argv, {
    ...(stdin === undefined ? {} : { stdin }),
    // 1: some files differ (tar's manual, "Exit Status").
    isFine: ({ code, stderr }) =>
      code === 1 &&
      stderr
        .trim()
        .split('\n')
        .every((line) => harmless.has(line)),
  });
  await chmod(archive, 0o600);
}

/** Unpacks an archive that checkTar has passed. */
export async function extractTar(host: Host, archive: string, folder: string): Promise<void> {
  await host.must('StageFailed', `${folder} cannot be filled`, [
    'tar',
    '--extract',
    `--file=${archive}`,
    `--directory=${folder}`,
    '--preserve-permissions',
    '--same-owner',
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=*',
    '--xattrs-exclude=trusted.overlay.*',
    '--delay-directory-restore',
    '--warning=no-timestamp',
  ]);
}
