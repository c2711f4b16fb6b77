// Builds the programs of this repository with esbuild: one self-contained ES module each, for Node >= 20.19.
// `node build.mjs` writes dist/; `import { bundle } from './build.mjs'` builds another entry the same way
// (the local cluster bundles its kubelet so).
import { build } from 'esbuild';
import { chmod, copyFile, mkdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

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

/** Bundles one TypeScript entry point into one executable .mjs file. Paths are relative to the repository. */
export async function bundle(entry, outfile, { minify = false } = {}) {
  const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8'));
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
    define: { LPM_VERSION: JSON.stringify(version) },
  });
  await chmod(new URL(outfile, `file://${root}`), 0o755);
}

export const programs = {
  'dist/kubectl-migrate.mjs': 'plugin/main.ts',
  'dist/kubectl-checkpoint.mjs': 'plugin/main.ts',
  'dist/controller.mjs': 'controller/main.ts',
  'dist/agent.mjs': 'agent/main.ts',
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await mkdir(new URL('dist', import.meta.url), { recursive: true });
  await Promise.all(
    Object.entries(programs).map(([outfile, entry]) =>
      bundle(entry, outfile, { minify: outfile.includes('kubectl-') }),
    ),
  );
  // The runtime handler is a shell script that the agent's installer puts on the node; it ships beside the agent.
  await copyFile(
    new URL('agent/handler/lpm-runtime.sh', import.meta.url),
    new URL('dist/lpm-runtime', import.meta.url),
  );
  await chmod(new URL('dist/lpm-runtime', import.meta.url), 0o755);
}
