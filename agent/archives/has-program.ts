import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';

/** Whether a program is found where this process looks for programs. */
export async function hasProgram(name: string): Promise<boolean> {
  for (const folder of (process.env.PATH ?? '').split(':').filter(Boolean)) {
    const found = await access(join(folder, name), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
