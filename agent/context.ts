import type { ArchiveSettings } from './archives/settings.js';
import type { Cri } from './cri.js';
import type { Host } from './host.js';
import type { KubeletOptions } from './kubelet/options.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';
import type { NodeKeeper } from './node-setup/keeper.js';
import type { StateDir } from './state.js';

/** What every part of the agent is given. */
export interface Context {
  nodeName: string;
  version: string;
  host: Host;
  cri: Cri;
  state: StateDir;
  log: Logger;
  metrics: Metrics;
  /** Where the OCI runtimes keep their state. */
  runtimeRoots: readonly string[];
  /** Adds folders that the node's set-up has learned of. */
  addRuntimeRoots: (roots: readonly string[]) => void;
  /** Sets the node up, where that is the agent's to do. */
  keeper: NodeKeeper;
  /** Where the runtime handler's script lies on the node. */
  handlerPath: string;
  /** Milliseconds after which a dump is given up and the runtime and CRIU are killed. */
  dumpTimeoutMs: number;
  /** How archives of users' checkpoints are kept. */
  archives: ArchiveSettings;
  kubelet: KubeletOptions;
}
