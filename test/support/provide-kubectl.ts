/**
 * For test/run.mjs: the tests call the real kubectl. Where the machine has none, or an old one, this prints a folder with that of
 * the nodes' root; nothing where none is needed.
 */
import { join } from 'node:path';
import { machineHasKubectl, provideKubectl } from '../cluster/kubectl.js';
import { nodeRoot } from '../cluster/node-root.js';
import { cacheDir } from '../cluster/paths.js';

if (!(await machineHasKubectl())) {
  if (process.getuid?.() === 0) {
    const folder = join(cacheDir, 'bin');
    await provideKubectl(await nodeRoot((line) => console.error(line)), folder);
    console.log(folder);
  } else {
    console.error('There is no kubectl of 1.30 or newer in PATH: install one, or run the tests as root.');
  }
}
