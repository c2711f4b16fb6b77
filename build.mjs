// Builds the programs of this repository with esbuild: one self-contained ES module each, for Node >= 20.19.
// `node build.mjs` writes dist/; `import { bundle } from './build.mjs'` builds another entry the same way
// (the local cluster bundles its kubelet so).
import { build } from 'esbuild';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { installData } from './manifests/install.mjs';

const root = fileURLToPath(new URL('.', import.meta.url));

// CommonJS dependencies inside an ES module bundle call require() for Node's own modules.
const requireShim =
  "import { createRequire as lpmCreateRequire } from 'node:module'; const require = lpmCreateRequire(import.meta.url);";

/**
 * Left out of the bundles because it is never reached, half of what a program would have to parse at each start:
 * client-node's generated API classes, which its KubeConfig needs only for makeApiClient (common/kube/client.ts takes its
 * place), and the URL of whatwg-url with its Unicode tables, which node-fetch needs only where Node has none.
 */
const leaveOut = {
  name: 'leave-out',
  setup(esbuild) {
    const stub = (path) => ({ path, namespace: 'left-out' });
    esbuild.onResolve({ filter: /^\.\/gen\/index\.js$/ }, ({ path, importer }) =>
      importer.endsWith('/client-node/dist/config.js') ? stub(path) : undefined,
    );
    esbuild.onResolve({ filter: /^whatwg-url$/ }, ({ path }) => stub(path));
    esbuild.onLoad({ filter: /gen/, namespace: 'left-out' }, () => ({
      contents: 'export const createConfiguration = undefined, ServerConfiguration = undefined;',
    }));
    esbuild.onLoad({ filter: /whatwg-url/, namespace: 'left-out' }, () => ({
      contents: 'const { URL } = globalThis; export { URL }; export default { URL };',
    }));
  },
};

/**
 * Bundles one TypeScript entry point into one executable .mjs file. Paths are relative to the repository. Only a build with
 * `faults` stops at fault points (common/fault-point.ts); from all others they are removed. `version` is what it says of itself.
 */
export async function bundle(entry, outfile, { minify = false, faults = false, version } = {}) {
  version ??= JSON.parse(await readFile(`${root}package.json`, 'utf8')).version;
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    sourcemap: minify ? false : 'linked',
    minify,
    legalComments: 'none',
    charset: 'utf8',
    plugins: [leaveOut],
    logLevel: 'warning',
    banner: { js: `#!/usr/bin/env node\n${requireShim}` },
    define: { LPM_VERSION: JSON.stringify(version), LPM_FAULTS: String(faults) },
    dropLabels: faults ? [] : ['FAULT'],
  });
  await chmod(new URL(outfile, `file://${root}`), 0o755);
}

/**
 * Builds the plugin into a folder: kubectl-migrate.mjs and kubectl-checkpoint.mjs, a few lines each, and pieces that are
 * loaded when they are needed. `--help` and completion parse one twentieth of the whole.
 */
export async function bundlePlugin(outdir) {
  const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8'));
  await build({
    absWorkingDir: root,
    entryPoints: { 'kubectl-migrate': 'plugin/main.ts', 'kubectl-checkpoint': 'plugin/main.ts' },
    outdir,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'plugin/[name]-[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    minify: true,
    legalComments: 'none',
    charset: 'utf8',
    plugins: [leaveOut],
    logLevel: 'warning',
    banner: { js: `#!/usr/bin/env node\n${requireShim}` },
    define: {
      LPM_VERSION: JSON.stringify(version),
      LPM_FAULTS: 'false',
      // A string, which no parser of JavaScript looks into; it stands in the one module that names it (plugin/install/bundled.ts).
      LPM_MANIFESTS: JSON.stringify(JSON.stringify(await installData())),
    },
    dropLabels: ['FAULT'],
  });
  for (const name of ['kubectl-migrate', 'kubectl-checkpoint']) {
    await chmod(new URL(`${outdir}/${name}.mjs`, `file://${root}`), 0o755);
  }
}

/**
 * The text of the runtime handler, a shell script. Its fault points are comments, `# fault: NAME`, which the test build makes
 * calls of agent/handler/fault.sh.
 */
export async function runtimeHandler({ faults = false } = {}) {
  const read = (name) => readFile(new URL(`agent/handler/${name}`, import.meta.url), 'utf8');
  const script = await read('lpm-runtime.sh');
  const point = /^( *)# fault: ([a-z-]+(?:\.[a-zA-Z-]+)+)\n/gm;
  if (!faults) return script.replace(point, '');
  const stop = (await read('fault.sh')).replace(/^#!.*\n/, '');
  return script.replace(/^set -u\n/m, (line) => `${line}${stop}`).replace(point, '$1fault $2\n');
}

export const programs = {
  'dist/controller.mjs': 'controller/main.ts',
  'dist/agent.mjs': 'agent/main.ts',
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await mkdir(new URL('dist', import.meta.url), { recursive: true });
  // Pieces have their contents' hash in their names: those of earlier builds would stay.
  await rm(new URL('dist/plugin', import.meta.url), { recursive: true, force: true });
  await Promise.all([
    bundlePlugin('dist'),
    ...Object.entries(programs).map(([outfile, entry]) => bundle(entry, outfile)),
  ]);
  // The runtime handler is a shell script that the agent's installer puts on the node; it ships beside the agent.
  await writeFile(new URL('dist/lpm-runtime', import.meta.url), await runtimeHandler());
  await chmod(new URL('dist/lpm-runtime', import.meta.url), 0o755);
}
