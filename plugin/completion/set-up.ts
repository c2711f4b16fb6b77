import { access, chmod, constants, mkdir, rename, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { LpmError, messageOf } from '../../common/errors.js';
import { UsageError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { Invocation } from '../invocation.js';
import { requireNoWords } from '../no-words.js';

/** The program that kubectl calls: `kubectl_complete-migrate`. */
export function completionScript(plugin: string): string {
  return `#!/bin/sh
# Completion for \`kubectl ${plugin.replace('kubectl-', '')}\`: kubectl calls this with the words of the command line.
exec ${plugin} __complete "$@"
`;
}

export async function setUpCompletion(
  invocation: Invocation,
  { install, dir }: { install: boolean; dir?: string },
  words: readonly string[],
): Promise<ExitCode> {
  requireNoWords('completion', words, [
    `One program serves every shell: ${invocation.program} completion --install`,
  ]);
  // `kubectl lpm migrate` is completed by the program of the plugin that is called.
  const plugin = invocation.program.split(' ').slice(0, 2).join('-');
  const { out, err } = invocation.terminal({});
  if (!install) {
    if (dir !== undefined) throw new UsageError('--dir goes with --install.');
    out(completionScript(plugin).trimEnd());
    return EXIT.done;
  }
  const folder = resolve(dir ?? dirname(process.argv[1] ?? '.'));
  const file = join(folder, `kubectl_complete-${plugin.replace('kubectl-', '')}`);
  try {
    await mkdir(folder, { recursive: true });
    const temporary = `${file}.${process.pid}`;
    await writeFile(temporary, completionScript(plugin), { flag: 'wx' });
    await chmod(temporary, 0o755);
    await rename(temporary, file);
    await access(file, constants.X_OK);
  } catch (error) {
    throw new LpmError('InvalidArgument', `${file} cannot be written: ${messageOf(error)}.`, {
      hint: 'Name a folder of your PATH that you may write to with --dir.',
      cause: error,
    });
  }
  out(file);
  if (!(process.env.PATH ?? '').split(delimiter).some((each) => resolve(each) === folder)) {
    err(`${folder} is not on your PATH: kubectl will not find it there.`);
  }
  return EXIT.done;
}
