import type { DescribedFile, DescribedProcess } from '../../../proto/gen/lpm/v1/agent.js';
import {
  CoreEntry,
  FdinfoEntry,
  FileEntry,
  KernelObjects,
  PagemapEntry,
  PagemapHead,
  PstreeEntry,
} from '../../../proto/gen/lpm/criu/v1/images.js';
import { imageEntries } from '../criu-images/image-file.js';
import type { Gathered } from './gather.js';
import { messages } from './images.js';

/** So much fits well into an object of the API server. */
const MAX_PROCESSES = 400;
const MAX_FILES = 1500;
const MAX_FILES_OF_ONE = 64;
const MAX_NAME = 256;

const PAGE_BYTES = 4096n;
/** Flags of a run of pages (criu/include/pagemap.h): it is in this dump. */
const PRESENT = 4;

/** Text of a stranger, fit for a terminal: no control characters, not too long. */
export function plain(name: string): string {
  const cut = name.length <= MAX_NAME ? name : `${name.slice(0, MAX_NAME - 1)}…`;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** The process tree with open files and memory, as far as the images tell. */
export function describeProcesses(gathered: Gathered): { list: DescribedProcess[]; truncated: boolean } {
  const image = (name: string): Buffer | undefined => gathered.contents.get(`checkpoint/${name}.img`);
  const tree = messages(image('pstree'), 'pstree', PstreeEntry);
  const files = new Map(messages(image('files'), 'files', FileEntry).map((file) => [file.id, file]));
  let truncated = tree.length > MAX_PROCESSES;
  let room = MAX_FILES;
  const list = tree.slice(0, MAX_PROCESSES).map(({ pid, ppid, threads }): DescribedProcess => {
    const [core] = messages(image(`core-${pid}`), 'core', CoreEntry);
    const [ids] = messages(image(`ids-${pid}`), 'ids', KernelObjects);
    const table = (ids ?? core?.ids)?.filesId;
    const open = table === undefined ? [] : messages(image(`fdinfo-${table}`), 'fdinfo', FdinfoEntry);
    const shown = open.slice(0, Math.min(room, MAX_FILES_OF_ONE));
    truncated ||= shown.length < open.length;
    room -= shown.length;
    return {
      pid,
      parentPid: ppid,
      command: plain(core?.tc?.comm ?? ''),
      memoryBytes: memoryOf(image(`pagemap-${pid}`)),
      threads: Math.max(1, threads.length),
      files: shown.map(({ fd, id, type }) => describeFile(fd, type, files.get(id))),
    };
  });
  return { list, truncated };
}

function memoryOf(image: Buffer | undefined): bigint {
  let pages = 0n;
  if (!image) return pages;
  try {
    let first = true;
    for (const entry of imageEntries(image, 'pagemap')) {
      if (first) PagemapHead.decode(entry);
      else {
        const { flags, inParent, nrPages, compatNrPages } = PagemapEntry.decode(entry);
        // Dumps without flags are from before there were any, and hold all their pages.
        if (!inParent && (flags === 0 || (flags & PRESENT) !== 0)) pages += nrPages || BigInt(compatNrPages);
      }
      first = false;
    }
  } catch {
    // As far as it could be read.
  }
  return BigInt.asUintN(64, pages * PAGE_BYTES);
}

/** Kinds of open files (criu/images/fdinfo.proto). */
const REGULAR = 1;
const PIPE = 2;
const FIFO = 3;
const INET = 4;
const UNIX = 5;
const TTY = 11;
const OTHERS: Readonly<Record<number, readonly [kind: string, name: string]>> = {
  6: ['other', 'eventfd'],
  7: ['other', 'eventpoll'],
  8: ['other', 'inotify'],
  9: ['other', 'signalfd'],
  10: ['socket', 'packet'],
  12: ['other', 'fanotify'],
  13: ['socket', 'netlink'],
  14: ['other', 'namespace'],
  15: ['device', 'tun'],
  16: ['other', 'external'],
  17: ['other', 'timerfd'],
  18: ['other', 'memfd'],
  19: ['other', 'bpf map'],
  20: ['other', 'pidfd'],
};

/** File types in a mode (inode(7)). */
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

function describeFile(fd: number, type: number, file: FileEntry | undefined): DescribedFile {
  const as = (kind: string, name: string): DescribedFile => ({ fd: fd | 0, kind, name: plain(name) });
  switch (type) {
    case REGULAR: {
      const format = (file?.reg?.mode ?? 0) & S_IFMT;
      const device = format === S_IFCHR || format === S_IFBLK;
      return as(format === S_IFDIR ? 'directory' : device ? 'device' : 'regular', file?.reg?.name ?? '');
    }
    case PIPE:
    case FIFO:
      return as('pipe', `pipe:[${(file?.pipe ?? file?.fifo)?.pipeId ?? 0}]`);
    case INET:
      return as('socket', file?.isk ? inetName(file.isk) : 'inet');
    case UNIX:
      // The name ends with a NUL, or begins with one where it is none of a file (unix(7)).
      return as(
        'socket',
        `unix ${Buffer.from(file?.usk?.name ?? [])
          .toString('utf8')
          .replace(/\0$/, '')
          .replace(/^\0/, '@')}`.trim(),
      );
    case TTY:
      return as('device', 'terminal');
    default: {
      const [kind, name] = OTHERS[type] ?? ['other', ''];
      return as(kind, name);
    }
  }
}

/** include/uapi/linux/in.h, include/net/tcp_states.h */
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmp6',
  136: 'udplite',
};
const LISTENING = 10;

function inetName(socket: NonNullable<FileEntry['isk']>): string {
  const protocol = PROTOCOLS[socket.proto] ?? `protocol ${socket.proto}`;
  const local = `${address(socket.srcAddr)}:${socket.srcPort}`;
  if (socket.proto === 6 && socket.state === LISTENING) return `${protocol} ${local} (listening)`;
  return socket.dstPort
    ? `${protocol} ${local} → ${address(socket.dstAddr)}:${socket.dstPort}`
    : `${protocol} ${local}`;
}

/** Words of an address as they lay in memory, in the byte order of the network. */
function address(words: readonly number[]): string {
  const bytes = Buffer.alloc(16);
  words.slice(0, 4).forEach((word, at) => bytes.writeUInt32LE(word >>> 0, 4 * at));
  if (words.length === 1) return bytes.subarray(0, 4).join('.');
  if (words.length !== 4) return '?';
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16));
  return `[${groups.join(':').replace(/(?:^|:)0(?::0)+(?:$|:)/, '::')}]`;
}
