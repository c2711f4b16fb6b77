import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { readStat } from '../process.js';
import type { RuntimeProcess } from './restart-way.js';

/** A listening socket's flag in /proc/net/unix (__SO_ACCEPTCON, net/unix/af_unix.c). */
const LISTENS = '00010000';

/**
 * The process that listens on a socket of the node; undefined when there is none. Only with it is it certain which of several
 * runtimes (Docker has a containerd of its own) the kubelet uses.
 */
export function processListeningOn(socket: string): RuntimeProcess | undefined {
  const inodes = listeningInodes(read('/proc/1/net/unix'), socket);
  if (inodes.length === 0) return undefined;
  const links = inodes.map((inode) => `socket:[${inode}]`);
  for (const name of readdirSync('/proc')) {
    // The first process may hold it too, where systemd has made the socket.
    if (/^\d+$/.test(name) && name !== '1' && holds(name, links)) return describe(Number(name));
  }
  return undefined;
}

/** Inodes of what listens on a path, from the text of /proc/net/unix. */
export function listeningInodes(text: string, socket: string): string[] {
  const plain = (path: string): string => path.replace(/^\/var\/run\//, '/run/');
  return text.split('\n').flatMap((line) => {
    const [, , , flags, , , inode = '', ...path] = line.trim().split(/\s+/);
    return flags === LISTENS && plain(path.join(' ')) === plain(socket) ? [inode] : [];
  });
}

function holds(pid: string, links: readonly string[]): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return links.includes(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

function describe(pid: number): RuntimeProcess | undefined {
  const stat = readStat(pid);
  if (!stat) return undefined;
  const words = (file: string): string[] => read(`/proc/${pid}/${file}`).split('\0').slice(0, -1);
  const path = words('environ').find((each) => each.startsWith('PATH='));
  try {
    return {
      pid,
      startTime: stat.startTime,
      // After an upgrade the running program may have no name any more.
      program: readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ''),
      argv: words('cmdline'),
      searchPath: path?.slice('PATH='.length) ?? '',
      cgroup: systemdCgroup(read(`/proc/${pid}/cgroup`)),
      parent: stat.parent,
    };
  } catch {
    return undefined;
  }
}

/** cgroups(7): systemd's own hierarchy where there are several, else the only one. */
export function systemdCgroup(text: string): string {
  const lines = text.split('\n');
  const line =
    lines.find((each) => /^\d+:name=systemd:/.test(each)) ?? lines.find((each) => /^0::/.test(each));
  return line?.split(':').slice(2).join(':') ?? '';
}

/** The value of a flag, as `--config FILE`, `--config=FILE` or `-c FILE`. */
export function flagOf(argv: readonly string[], ...names: readonly string[]): string | undefined {
  for (const [index, word] of argv.entries()) {
    for (const name of names) {
      if (word === name) return argv[index + 1];
      if (word.startsWith(`${name}=`)) return word.slice(name.length + 1);
    }
  }
  return undefined;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
