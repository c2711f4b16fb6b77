/** The two programs and their commands. Loads no parser and no Kubernetes client: help and completion need neither. */
import { cancelCommand } from './cancel/command.js';
import { checkpointCommand } from './checkpoint/command.js';
import { deleteCheckpointCommand } from './checkpoint/delete/command.js';
import { describeCheckpointCommand } from './checkpoint/describe/command.js';
import { exportCheckpointCommand } from './checkpoint/export/command.js';
import { importCheckpointCommand } from './checkpoint/import/command.js';
import { listCheckpointsCommand } from './checkpoint/list/command.js';
import { restoreCheckpointCommand } from './checkpoint/restore/command.js';
import type { AnyCommand } from './command.js';
import { completionCommand } from './completion/command.js';
import { deleteCommand } from './delete/command.js';
import { describeCommand } from './describe/command.js';
import { doctorCommand } from './doctor/command.js';
import { drainCommand } from './drain/command.js';
import { installCommand } from './install/command.js';
import { listCommand } from './list/command.js';
import { logsCommand } from './logs/command.js';
import { migrateCommand } from './migrate/command.js';
import { resolveCommand } from './resolve/command.js';
import { statusCommand } from './status/command.js';
import { topCommand } from './top/command.js';
import { uninstallCommand } from './uninstall/command.js';
import { versionCommand } from './version/command.js';

export const PROGRAMS: Record<'kubectl-migrate' | 'kubectl-checkpoint', AnyCommand[]> = {
  'kubectl-migrate': [
    migrateCommand,
    statusCommand,
    listCommand,
    topCommand,
    logsCommand,
    cancelCommand,
    resolveCommand,
    describeCommand,
    deleteCommand,
    drainCommand,
    doctorCommand,
    installCommand,
    uninstallCommand,
    completionCommand,
    versionCommand,
  ],
  'kubectl-checkpoint': [
    checkpointCommand,
    listCheckpointsCommand,
    describeCheckpointCommand,
    restoreCheckpointCommand,
    deleteCheckpointCommand,
    exportCheckpointCommand,
    importCheckpointCommand,
    completionCommand,
    versionCommand,
  ],
};
export type ProgramName = keyof typeof PROGRAMS;

/** How the program was called. */
export interface Call {
  program: ProgramName;
  /** As the person writes it: `kubectl migrate`. */
  written: string;
  args: string[];
}

/**
 * Which of the two programs this file was called as: a link's name counts, its ending does not. As kubectl-lpm it is both, by
 * the first word: kubectl's own commands go before plugins, and one day it may have a `checkpoint`.
 */
export function calledAs(path: string, args: readonly string[]): Call {
  const name = (path.split(/[\\/]/).at(-1) ?? '').replace(/\.[^.]*$/, '');
  if (name === 'kubectl-lpm') {
    const [first = '', ...rest] = args;
    const program = first === 'checkpoint' ? 'kubectl-checkpoint' : 'kubectl-migrate';
    const named = first === 'checkpoint' || first === 'migrate';
    return {
      program,
      written: `kubectl lpm ${program.replace('kubectl-', '')}`,
      args: named ? rest : [...args],
    };
  }
  const program = name === 'kubectl-checkpoint' ? name : 'kubectl-migrate';
  return { program, written: program.replace('-', ' '), args: [...args] };
}
