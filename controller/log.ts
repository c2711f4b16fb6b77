/** Log lines for machines: one JSON object on one line of standard error, with the migration it is about. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Fields of a line, such as migration, node, pod, reason. */
export type LogFields = Record<string, unknown>;

export class Log {
  constructor(
    private readonly level: LogLevel,
    private readonly fields: LogFields = {},
    private readonly write: (line: string) => void = (line) => process.stderr.write(line),
  ) {}

  /** A log whose lines all carry these fields too. */
  with(fields: LogFields): Log {
    return new Log(this.level, { ...this.fields, ...fields }, this.write);
  }

  debug(message: string, fields?: LogFields): void {
    this.#line('debug', message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#line('info', message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#line('warn', message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#line('error', message, fields);
  }

  #line(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(this.level)) return;
    const line = { time: new Date().toISOString(), level, message, ...this.fields, ...fields };
    this.write(
      `${JSON.stringify(line, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))}\n`,
    );
  }
}
