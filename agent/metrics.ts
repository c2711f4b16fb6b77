/**
 * The few numbers that the agent tells, in Prometheus' text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */
export class Metrics {
  private readonly counters = new Map<string, number>();
  private readonly gauges = new Map<string, () => number | Promise<number>>();

  /** Adds to a counter; `labels` as `operation="checkpoint",outcome="ok"`. */
  add(name: string, labels = '', by = 1): void {
    const key = labels ? `${name}{${labels}}` : name;
    this.counters.set(key, (this.counters.get(key) ?? 0) + by);
  }

  /** A number that is asked for when it is scraped; the name may carry labels. */
  gauge(name: string, read: () => number | Promise<number>): void {
    this.gauges.set(name, read);
  }

  /** Counts an operation, its outcome and its time. */
  async observe<T>(operation: string, work: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    let outcome = 'error';
    try {
      const result = await work();
      outcome = 'ok';
      return result;
    } finally {
      this.add('lpm_agent_operations_total', `operation="${operation}",outcome="${outcome}"`);
      const seconds = (performance.now() - begin) / 1000;
      this.add('lpm_agent_operation_seconds_sum', `operation="${operation}"`, seconds);
      this.add('lpm_agent_operation_seconds_count', `operation="${operation}"`);
    }
  }

  async text(): Promise<string> {
    const typed = new Set<string>();
    const lines: string[] = [];
    const type = (name: string, kind: string): void => {
      if (typed.has(name)) return;
      typed.add(name);
      lines.push(`# HELP ${name} ${HELP[name] ?? name}`, `# TYPE ${name} ${kind}`);
    };
    for (const [name, read] of this.gauges) {
      type(name.replace(/\{.*/, ''), 'gauge');
      // What cannot be known now is NaN, as Prometheus has it.
      lines.push(
        `${name} ${await Promise.resolve()
          .then(read)
          .catch(() => NaN)}`,
      );
    }
    for (const [key, value] of [...this.counters].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const name = key.replace(/\{.*/, '');
      const family = name.replace(/_(sum|count)$/, '');
      type(family, family === name ? 'counter' : 'summary');
      lines.push(`${key} ${value}`);
    }
    return `${lines.join('\n')}\n`;
  }
}

const HELP: Readonly<Record<string, string>> = {
  lpm_agent_build_info: 'Which version runs here.',
  lpm_agent_operations_total: 'Operations by outcome.',
  lpm_agent_operation_seconds: 'Time that operations took.',
  lpm_agent_bytes_dumped_total: 'Bytes of memory and files that checkpoints wrote.',
  lpm_agent_step_seconds: 'Time that each step of checkpoints took.',
  lpm_agent_bytes_sent_total: 'Artifact bytes sent to other agents.',
  lpm_agent_bytes_received_total: 'Artifact bytes received from other agents.',
  lpm_agent_source_frozen_seconds: 'Time from the first freeze to the complete checkpoint.',
  lpm_agent_frozen_containers: 'Containers on this node that are frozen now, by whomever.',
  lpm_agent_checkpoints: 'Checkpoints that lie on this node, finished or not.',
  lpm_agent_archives: 'Archives of checkpoints that this node keeps.',
  lpm_agent_archive_bytes: 'Bytes of these archives.',
  lpm_agent_repository_free_bytes: 'Room in the shared repository; NaN when this node does not reach it.',
  lpm_agent_restores_staged: 'Pods for which artifacts of a checkpoint are staged on this node.',
  lpm_agent_certificate_expiry_seconds: 'When the certificate of this agent ends; NaN when it has none.',
  lpm_agent_handshakes: 'Connections that have not shown a certificate yet.',
  lpm_agent_operations_in_progress: 'Checkpoints and restores in progress.',
};
