/** `npm run generate`: writes manifests/crd from the schemas. */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { crdFile } from './crd.js';
import { KINDS } from './kinds.js';

const folder = fileURLToPath(new URL('../../manifests/crd/', import.meta.url));
await mkdir(folder, { recursive: true });
for (const info of Object.values(KINDS)) {
  const { name, text } = crdFile(info);
  await writeFile(folder + name, text);
}
