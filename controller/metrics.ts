/** Numbers in the Prometheus text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */

interface Family {
  help: string;
  type: 'counter' | 'histogram';
  values: Map<string, number>;
}

export class Metrics {
  readonly #families = new Map<string, Family>();
  readonly #gauges: { name: string; help: string; read: () => number; labels: string }[] = [];

  /** Adds to a counter; it is made when it is first named. */
  count(name: string, help: string, labels: Record<string, string> = {}, by = 1): void {
    add(this.#family(name, help, 'counter'), name, labels, by);
  }

  /** Puts a value into a histogram, which is made when it is first named. `bounds` rise; what is above all of them counts too. */
  observe(
    name: string,
    help: string,
    bounds: readonly number[],
    value: number,
    labels: Record<string, string> = {},
  ): void {
    const family = this.#family(name, help, 'histogram');
    for (const bound of [...bounds, Infinity]) {
      const le = bound === Infinity ? '+Inf' : String(bound);
      add(family, `${name}_bucket`, { ...labels, le }, value <= bound ? 1 : 0);
    }
    add(family, `${name}_sum`, labels, value);
    add(family, `${name}_count`, labels, 1);
  }

  /** A value that is read when somebody asks. */
  gauge(name: string, help: string, read: () => number, labels: Record<string, string> = {}): void {
    this.#gauges.push({ name, help, read, labels: labelText(labels) });
  }

  text(): string {
    const lines: string[] = [];
    for (const [name, { help, type, values }] of this.#families) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [sample, value] of values) lines.push(`${sample} ${value}`);
    }
    for (const { name, help, read, labels } of this.#gauges) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name}${labels} ${read()}`);
    }
    return `${lines.join('\n')}\n`;
  }

  #family(name: string, help: string, type: Family['type']): Family {
    let family = this.#families.get(name);
    if (!family) this.#families.set(name, (family = { help, type, values: new Map() }));
    return family;
  }
}

function add({ values }: Family, name: string, labels: Record<string, string>, by: number): void {
  const sample = `${name}${labelText(labels)}`;
  values.set(sample, (values.get(sample) ?? 0) + by);
}

function labelText(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`,
  );
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}
