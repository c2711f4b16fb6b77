/** What was read from an archive, for people. Pure. It comes from outside, so nothing of it is believed to have a form. */
import { size } from '../../text/bytes.js';
import { printable } from '../../text/printable.js';
import { table } from '../../text/table.js';
import type { Page } from './report.js';

/** The message ArchiveDescription of the agents' protocol as JSON, as far as it is shown. */
interface Described {
  processes: Process[];
  mounts: { destination: string; type: string; source: string }[];
  runtime: string;
  criuVersion: string;
  hostname: string;
  memoryBytes: number;
  layerBytes: number;
  volumeBytes: number;
  truncated: boolean;
}
interface Process {
  pid: number;
  parentPid: number;
  command: string;
  memoryBytes: number;
  threads: number;
  files: { fd: number; kind: string; name: string }[];
}

/** More open files or mounts than this are counted, not listed. */
const MOST_LINES = 40;

export interface DescribedParts {
  /** Label and value, as the rows that stand above them. */
  facts: [string, string][];
  lines: string[];
}

export function described(json: Record<string, unknown>, page: Page): DescribedParts {
  const it = read(json);
  const facts: [string, string][] = [
    ['  Dumped by:', [it.runtime, it.criuVersion && `CRIU ${it.criuVersion}`].filter(Boolean).join(', ')],
    ['  Host name:', it.hostname],
    ['  Memory:', it.memoryBytes > 0 ? size(it.memoryBytes) : ''],
    ['  Files:', it.layerBytes > 0 ? `${size(it.layerBytes)} changed in the container` : ''],
    ['  Volumes:', it.volumeBytes > 0 ? size(it.volumeBytes) : ''],
  ];
  const files = it.processes.flatMap(({ pid, files }) =>
    files.map(({ fd, kind, name }) => [`    ${pid}`, String(fd), kind, name]),
  );
  const mounts = it.mounts.map(({ destination, type, source }) => [`    ${destination}`, type, source]);
  const lines = [
    ...(it.processes.length > 0
      ? [
          `  Processes (${it.processes.length}):`,
          ...table(['    PID', 'MEMORY', 'THREADS', 'COMMAND'], processRows(it.processes, page.unicode)),
        ]
      : []),
    ...listed('Open files', ['    PID', 'FD', 'KIND', 'NAME'], files),
    ...listed('Mounts', ['    DESTINATION', 'TYPE', 'SOURCE'], mounts),
    ...(it.truncated ? ['  There is more in it than is listed here.'] : []),
  ];
  return {
    facts,
    lines: lines.map((line) => (page.width === undefined ? line : cutRight(line, page.width))),
  };
}

function listed(title: string, head: string[], rows: string[][]): string[] {
  if (rows.length === 0) return [];
  const more = rows.length - MOST_LINES;
  return [
    `  ${title} (${rows.length}):`,
    ...table(head, rows.slice(0, MOST_LINES)),
    ...(more > 0 ? [`    … and ${more} more`] : []),
  ];
}

/** The processes as a tree: children below their parents. Each stands once, also where the parents form a ring. */
function processRows(processes: Process[], unicode: boolean): string[][] {
  const rows: string[][] = [];
  const seen = new Set<Process>();
  const known = new Set(processes.map(({ pid }) => pid));
  const [branch, last, bar] = unicode ? ['├─ ', '└─ ', '│  '] : ['|- ', '`- ', '|  '];
  const draw = (process: Process, lead: string, mark: string): void => {
    if (seen.has(process)) return;
    seen.add(process);
    const { pid, memoryBytes, threads, command } = process;
    rows.push([`    ${pid}`, size(memoryBytes), String(threads), `${lead}${mark}${command}`]);
    const children = processes.filter((other) => other.parentPid === pid && !seen.has(other));
    const below = mark === '' ? lead : lead + (mark === last ? '   ' : bar);
    children.forEach((child, index) => draw(child, below, index === children.length - 1 ? last : branch));
  };
  for (const process of processes) if (!known.has(process.parentPid)) draw(process, '', '');
  for (const process of processes) draw(process, '', '');
  return rows;
}

/** Like cut(), but the gaps between columns stay. */
function cutRight(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1)).trimEnd()}…`;
}

function read(json: Record<string, unknown>): Described {
  return {
    processes: list(json.processes).map((each) => ({
      pid: number(each.pid),
      parentPid: number(each.parentPid),
      command: text(each.command),
      memoryBytes: number(each.memoryBytes),
      threads: number(each.threads) || 1,
      files: list(each.files).map((file) => ({
        fd: number(file.fd),
        kind: text(file.kind),
        name: text(file.name),
      })),
    })),
    mounts: list(json.mounts).map((each) => ({
      destination: text(each.destination),
      type: text(each.type),
      source: text(each.source),
    })),
    runtime: text(json.runtime),
    criuVersion: text(json.criuVersion),
    hostname: text(json.hostname),
    memoryBytes: number(json.memoryBytes),
    layerBytes: number(json.layerBytes),
    volumeBytes: number(json.volumeBytes),
    truncated: json.truncated === true,
  };
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'object' && each !== null) : [];
}

/** 64-bit numbers are strings in protobuf's JSON. */
function number(value: unknown): number {
  const read = typeof value === 'string' || typeof value === 'number' ? Number(value) : 0;
  return Number.isFinite(read) ? read : 0;
}

function text(value: unknown): string {
  return typeof value === 'string' ? printable(value) : '';
}
