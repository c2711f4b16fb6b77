export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof LEVELS)[number];
export type Fields = Readonly<Record<string, unknown>>;

/** One JSON object a line: time, level, message, and the fields that say what it is about. */
export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A logger that adds fields (pod_uid, checkpoint_uid …) to all it says. */
  with(fields: Fields): Logger;
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Error) return value.message;
  return value;
}

export function createLogger(
  level: Level,
  write: (line: string) => void = (line) => process.stderr.write(line),
  fields: Fields = {},
): Logger {
  const say =
    (at: Level) =>
    (message: string, more: Fields = {}): void => {
      if (LEVELS.indexOf(at) < LEVELS.indexOf(level)) return;
      const line = { time: new Date().toISOString(), level: at, message, ...fields, ...more };
      write(`${JSON.stringify(line, plain)}\n`);
    };
  return {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    with: (more) => createLogger(level, write, { ...fields, ...more }),
  };
}
