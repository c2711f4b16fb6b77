/** What a check has found. */

export const STATUSES = ['ok', 'warn', 'fail', 'unknown'] as const;
export type Status = (typeof STATUSES)[number];

export interface Finding {
  /** Name of the check, the same for every node. */
  check: string;
  /** The node that it is about; absent for what is the cluster's. */
  node?: string;
  status: Status;
  /** ok: what was found, in a few words. Otherwise a sentence on what is wrong and what of it matters. */
  message: string;
  /** Command lines that mend it or show more, each as it can be typed; comments begin with #. */
  commands: string[];
}

/** Makes the findings of one check. */
export class Check {
  constructor(
    private readonly check: string,
    private readonly node?: string,
  ) {}

  on(node: string): Check {
    return new Check(this.check, node);
  }

  ok(message: string): Finding {
    return this.#made('ok', message, []);
  }
  warn(message: string, ...commands: string[]): Finding {
    return this.#made('warn', message, commands);
  }
  fail(message: string, ...commands: string[]): Finding {
    return this.#made('fail', message, commands);
  }
  /** It could not be looked at. */
  unknown(message: string, ...commands: string[]): Finding {
    return this.#made('unknown', message, commands);
  }

  #made(status: Status, message: string, commands: string[]): Finding {
    const { check, node } = this;
    return { check, ...(node === undefined ? {} : { node }), status, message, commands };
  }
}
