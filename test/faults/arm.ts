/** Arms fault points of a cluster of the test build, wherever the place will be met, and tells when it was. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultKind } from '../../common/fault-point.js';
import type { FaultPoint } from '../../common/fault-points.js';
import type { Cluster } from '../cluster/cluster.js';
import { faultFolder } from '../cluster/test-build.js';
import { until } from '../support/until.js';

export class Faults {
  constructor(private readonly cluster: Cluster) {
    this.clear();
  }

  /** The controller's folder and each node's: a name says by itself which program meets it. */
  get #folders(): string[] {
    return [this.cluster.layout.faults, ...this.cluster.nodes.map((node) => node.path(faultFolder))];
  }

  /** @param pass at which of the passes it happens, from 1 */
  arm(name: FaultPoint, kind: FaultKind, pass = 1): void {
    for (const folder of this.#folders) writeFileSync(join(folder, name), `${kind} ${pass}\n`);
  }

  fired(name: FaultPoint): boolean {
    return this.#folders.some((folder) => existsSync(join(folder, 'fired', name)));
  }

  async untilFired(name: FaultPoint, timeoutMs: number): Promise<void> {
    await until(`${name} was reached`, () => this.fired(name), { timeoutMs, everyMs: 5 });
  }

  /** Lets go on who hangs there. */
  release(name: FaultPoint): void {
    for (const folder of this.#folders) rmSync(join(folder, 'fired', name), { force: true });
  }

  /** Takes back what has not happened, and lets everybody go on. */
  clear(): void {
    for (const folder of this.#folders) {
      mkdirSync(join(folder, 'fired'), { recursive: true });
      for (const at of [folder, join(folder, 'fired')]) {
        for (const entry of readdirSync(at, { withFileTypes: true })) {
          if (entry.isFile()) rmSync(join(at, entry.name), { force: true });
        }
      }
    }
  }
}
