// `npm run manifests`: dist/install.yaml, the objects of manifests/kustomization.yaml in one file, with their comments, for
// `kubectl apply -f`. What `kubectl kustomize manifests` prints are the same objects (test/install/manifests.test.ts).
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
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

const objectsIn = (text) => parseAllDocuments(text).map((document) => document.toJS());

/**
 * What the plugin is built with: the same objects, without their comments, and what each component adds to them and changes in them.
 * Of kustomize only what our components use is known (plugin/install/kustomize.ts).
 */
export async function installData() {
  const names = (await readdir(new URL('components/', folder))).sort();
  const components = await Promise.all(names.map(async (name) => [name, await component(name)]));
  return { objects: objectsIn(await installYaml()), components: Object.fromEntries(components) };
}

async function component(name) {
  const within = (file) => `components/${name}/${file}`;
  const { kind, resources = [], patches = [], ...rest } = parse(await read(within('kustomization.yaml')));
  delete rest.apiVersion;
  const unknown = Object.keys(rest);
  if (kind !== 'Component' || unknown.length > 0) {
    throw new Error(
      `manifests/components/${name} is no component, or uses what is not known here: ${unknown.join(', ')}`,
    );
  }
  const objects = (
    await Promise.all(resources.map(async (file) => objectsIn(await read(within(file)))))
  ).flat();
  return {
    objects,
    patches: await Promise.all(
      patches.map(async ({ path, target }) => {
        const patch = parse(await read(within(path)));
        const { kind, name } = target ?? { kind: patch.kind, name: patch.metadata.name };
        return { target: { kind, name }, patch };
      }),
    ),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const dist = new URL('../dist/', folder);
  await mkdir(dist, { recursive: true });
  await writeFile(new URL('install.yaml', dist), await installYaml());
}
