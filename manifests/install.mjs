// `npm run manifests`: dist/install.yaml, the objects of manifests/kustomization.yaml in one file, with their comments, for
// `kubectl apply -f`. What `kubectl kustomize manifests` prints are the same objects (test/install/manifests.test.ts).
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';

const folder = new URL('./', import.meta.url);
const read = (name) => readFile(new URL(name, folder), 'utf8');

/** The text of the single file. */
export async function installYaml() {
  const { resources } = parse(await read('kustomization.yaml'));
  const texts = await Promise.all(resources.map(read));
  return texts.map((text) => text.trimEnd()).join('\n---\n') + '\n';
}

/** The same objects, without their comments: what the plugin is built with. */
export async function installObjects() {
  return parseAllDocuments(await installYaml()).map((document) => document.toJS());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const dist = new URL('../dist/', folder);
  await mkdir(dist, { recursive: true });
  await writeFile(new URL('install.yaml', dist), await installYaml());
}
