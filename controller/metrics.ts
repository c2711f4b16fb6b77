/** Counters in the Prometheus text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */

interface Family {
  help: string;
  type: 'counter' | 'gauge';
  values: Map<string, number>;
}

export class Metrics {
  readonly #families = new Map<string, Family>();
  readonly #gauges: { name: string; help: string; read: () => number; labels: string }[] = [];

  /** Adds to a counter; it is made when it is first named. */
  count(name: string, help: string, labels: Record<string, string> = {}, by = 1): void {
    let family = this.#families.get(name);
    if (!family) this.#families.set(name, (family = { help, type: 'counter', values: new Map() }));
    const key = labelText(labels);
    family.values.set(key, (family.values.get(key) ?? 0) + by);
  }

  /** A value that is read when somebody asks. */
  gauge(name: string, help: string, read: () => number, labels: Record<string, string> = {}): void {
    this.#gauges.push({ name, help, read, labels: labelText(labels) });
  }

  text(): string {
    const lines: string[] = [];
    for (const [name, { help, type, values }] of this.#families) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [labels, value] of values) lines.push(`${name}${labels} ${value}`);
    }
    for (const { name, help, read, labels } of this.#gauges) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name}${labels} ${read()}`);
    }
    return `${lines.join('\n')}\n`;
  }
}

function labelText(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`,
  );
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}
