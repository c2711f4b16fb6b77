/** One line of a container's log file in the CRI format: `<RFC 3339 time> <stream> <tags> <content>`. */
export interface LogEntry {
  /** As in the file, with nanoseconds. */
  time: string;
  stream: 'stdout' | 'stderr';
  /** The line goes on in the next entry of its stream (tag P). */
  partial: boolean;
  content: string;
}

/** Undefined for what is not in the format: a line that is being written, or damaged. */
export function parseLogLine(line: string): LogEntry | undefined {
  const match = /^(\S+) (stdout|stderr) ([^ ]+) (.*)$/s.exec(line);
  if (!match) return undefined;
  const [, time = '', stream, tags = '', content = ''] = match;
  return {
    time,
    stream: stream as LogEntry['stream'],
    partial: tags.split(':')[0] === 'P',
    content,
  };
}

export interface LogFilter {
  /** Entries before that time are left out; milliseconds since 1970. */
  sinceMs?: number;
  timestamps?: boolean;
  stream?: 'stdout' | 'stderr';
}

/** Turns log entries into what `kubectl logs` shows. It keeps in mind whether the last line is still open. */
export class LogRenderer {
  #open = false;

  constructor(private readonly filter: LogFilter) {}

  render(entry: LogEntry): string {
    if (this.filter.sinceMs !== undefined && Date.parse(entry.time) < this.filter.sinceMs) return '';
    if (this.filter.stream && entry.stream !== this.filter.stream) return '';
    const prefix = this.filter.timestamps && !this.#open ? `${entry.time} ` : '';
    this.#open = entry.partial;
    return `${prefix}${entry.content}${entry.partial ? '' : '\n'}`;
  }
}

/** Byte offset at which the last `count` lines of a file's content begin. */
export function tailOffset(content: Buffer, count: number): number {
  if (count <= 0) return content.length;
  let end = content.length;
  // The newline that ends the file begins no further line.
  if (content[end - 1] === 0x0a) end -= 1;
  for (let lines = 0; lines < count; lines++) {
    const at = content.lastIndexOf(0x0a, end - 1);
    if (at < 0 || end === 0) return 0;
    if (lines === count - 1) return at + 1;
    end = at;
  }
  return 0;
}
