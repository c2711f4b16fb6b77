import type { Context } from '../context.js';
import { forgetPrograms } from '../node-info.js';
import { whatIsMigrated } from './busy.js';
import type { RuntimeTools } from './change-runtime.js';
import type { Gate } from './gate.js';
import { handlerPods } from './handler-pods.js';
import { NodeKeeper } from './keeper.js';
import { NodeFiles } from './node-files.js';
import { SetUpState } from './record.js';
import { RuntimeControl } from './runtime-control.js';
import { setUpNode } from './set-up.js';

export interface SetUpOptions {
  /** The node's path of the CRI socket. */
  socket: string;
  /** Folder of this process with what goes below /opt/lpm. */
  shipped: string;
  restartCommand: string | undefined;
  restartTimeoutMs: number;
}

type Parts = Pick<Context, 'host' | 'state' | 'log'>;

export const runtimeTools = ({ host, state, log }: Parts, options: SetUpOptions): RuntimeTools => ({
  host,
  files: new NodeFiles(host),
  control: new RuntimeControl(host, options.socket, options.restartCommand, options.restartTimeoutMs),
  state: new SetUpState(state.root),
  log,
});

/** Gives the context its keeper, which sets the node up once it is started. */
export function keepNode(context: Omit<Context, 'keeper'>, options: SetUpOptions): Context {
  const tools = runtimeTools(context, options);
  const keeper = new NodeKeeper({
    setUp: (gate, inProgress) =>
      setUpNode({
        ...tools,
        shipped: options.shipped,
        stateDir: context.state.root === '/var/lib/lpm' ? undefined : context.state.root,
        quiet: () => closeWhenQuiet(all, gate, inProgress),
        handlerPods: async () => (await handlerPods(context.cri)).length,
      }),
    offers: () => tools.control.offers(),
    onOutcome: (outcome) => {
      forgetPrograms();
      if (outcome.state === 'ready') context.addRuntimeRoots(outcome.runtimeRoots);
    },
    log: context.log,
  });
  const all: Context = { ...context, keeper };
  return all;
}

async function closeWhenQuiet(context: Context, gate: Gate, inProgress: () => number) {
  // Nobody is turned away for as long as it has to wait anyway.
  const goingOn = await whatIsMigrated(context, inProgress());
  if (goingOn) return { busy: goingOn, open: () => {} };
  const open = gate.close();
  // Something may have begun before that.
  try {
    return { busy: await whatIsMigrated(context, inProgress()), open };
  } catch (error) {
    open();
    throw error;
  }
}
