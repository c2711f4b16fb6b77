/**
 * Everything that copies of a counter ever write, on whichever node: the files are held open, so that what a pod wrote last
 * can be read when the kubelet has removed it. What two copies wrote cannot be hidden by the removal of one.
 */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { countProblem, countsIn } from '../support/counts.js';
import { counterFile } from './counter.js';

/** One file; a pod whose volume was filled twice has two. */
interface Written {
  node: string;
  podUid: string;
  inode: number;
  fd: number;
}

export class WrittenFiles {
  readonly #files: Written[] = [];
  readonly #timer: NodeJS.Timeout;

  /** @param folders /var/lib/kubelet/pods of each node, as seen from this machine */
  constructor(private readonly folders: ReadonlyMap<string, string>) {
    this.#timer = setInterval(() => this.look(), 10);
  }

  /** Opens what is new. */
  look(): void {
    for (const [node, folder] of this.folders) {
      for (const podUid of entries(folder)) {
        const path = join(folder, podUid, counterFile);
        const inode = inodeOf(path);
        if (inode === undefined) continue;
        if (this.#files.some((file) => file.podUid === podUid && file.inode === inode)) continue;
        const fd = open(path);
        if (fd !== undefined) this.#files.push({ node, podUid, inode, fd });
      }
    }
  }

  /** What the newest file of a pod holds. */
  of(podUid: string): string {
    const file = this.#newestOf(podUid);
    return file ? contents(file.fd) : '';
  }

  /**
   * Compares all that was written with the file of the copy that is left. A copy that has executed one instruction too much
   * has written a line that this one does not hold.
   *
   * @param among UIDs of the pods that ever were a copy, where other counters run beside
   * @returns sentences about what is wrong, and how often the program of the copy that is left was started
   */
  compare(
    leftPodUid: string,
    mayStartAgain: boolean,
    among?: ReadonlySet<string>,
  ): { problems: string[]; starts: number } {
    const own = this.#newestOf(leftPodUid);
    // It is read last, as it is being written: what another copy wrote rightly stands in it already.
    const others = this.#files
      .filter((file) => file !== own && (among?.has(file.podUid) ?? true))
      .map((file) => ({ ...file, text: contents(file.fd) }));
    const left = own ? contents(own.fd) : '';
    const found: string[] = [];
    const starts = new Map<string, number[]>();
    for (const line of left.split('\n').filter(Boolean)) {
      const start = line.split(' ')[1] ?? '';
      starts.set(start, [...(starts.get(start) ?? []), ...countsIn(line)]);
    }
    for (const counts of starts.values()) {
      const gap = countProblem(counts);
      if (gap) found.push(`in the file of the copy that is left ${gap}`);
    }
    if (starts.size > 1 && !mayStartAgain) found.push(`the program was started ${starts.size} times`);
    for (const { node, podUid, text } of others) {
      if (left.startsWith(text)) continue;
      const more = text.split('\n').filter((line) => line && !left.includes(line));
      found.push(
        `pod ${podUid} on ${node} wrote what the copy that is left has not (${more.length} lines, ${more[0] ?? ''} …)`,
      );
    }
    return { problems: found, starts: starts.size };
  }

  #newestOf(podUid: string): Written | undefined {
    this.look();
    return this.#files.findLast((each) => each.podUid === podUid);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { fd } of this.#files.splice(0)) closeSync(fd);
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function open(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}

/** All of an open file, also of one that is removed; positions are given, so reading again reads all again. */
function contents(fd: number): string {
  const buffer = Buffer.alloc(fstatSync(fd).size);
  let at = 0;
  while (at < buffer.length) {
    const bytes = readSync(fd, buffer, at, buffer.length - at, at);
    if (bytes === 0) break;
    at += bytes;
  }
  return buffer.subarray(0, at).toString('utf8');
}

/** Lines of a log file from a position on. */
export const textFrom = (path: string, position: number): string => {
  try {
    return readFileSync(path).subarray(position).toString('utf8');
  } catch {
    return '';
  }
};
