// `npm test`: finds the test files and runs them with Node's own runner.
//
// Two rounds: what needs only this process tree, and what starts nodes, which share the machine's kernel and its cores.
// Arguments narrow the choice: `npm test -- plugin/` runs the files whose path contains "plugin/".
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = ['common', 'plugin', 'controller', 'agent', 'proto', 'test'];
const wanted = process.argv.slice(2);

const files = folders
  .flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
      .map((entry) => relative(root, `${entry.parentPath}/${entry.name}`)),
  )
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();

// What builds images from nothing takes two minutes, what sets up a dozen nodes four, a drain of 30 pods two, a roll-out of another
// version five, and screens are for whoever changes them: they run when they are named, or with all.
const ON_DEMAND =
  /^test\/(e2e\/(upgrade|uninstalled|drain|screens)|install\/images|agent\/bad-callers|node-setup\/.*)\.test\.ts$/;
const skipped =
  wanted.length > 0 || process.env.LPM_TESTS === 'all' ? [] : files.filter((file) => ON_DEMAND.test(file));
if (skipped.length > 0) {
  console.log(
    `Not run: ${skipped.join(', ')} (npm test -- install/images, -- node-setup, -- bad-callers, -- e2e/drain, -- e2e/screens, -- upgrade, -- uninstalled, or LPM_TESTS=all npm test)`,
  );
  for (const file of skipped) files.splice(files.indexOf(file), 1);
}

const startsNodes = (file) =>
  /^test\/(agent|e2e|faults|node-setup|soak|cluster\/node)\//.test(file) ||
  /^test\/install\/images\.test\.ts$/.test(file) ||
  /^test\/cluster\/(cluster|kubelet|kubelet-checkpoint|killed-up|side-by-side)\.test\.ts$/.test(file);
const rounds = [
  // One more than the cores of a small machine: much of what they do is waiting.
  { title: 'Tests that need no node', files: files.filter((file) => !startsNodes(file)), concurrency: 3 },
  // Their nodes are waited for most of the time: two clusters at once take little longer than one.
  { title: 'Tests on real nodes', files: files.filter(startsNodes), concurrency: 2 },
].filter((round) => round.files.length > 0);

if (rounds.length === 0) {
  console.error(`No test file matches ${wanted.join(' ')}.`);
  process.exit(1);
}

const provided = spawnSync(process.execPath, ['--import', 'tsx', 'test/support/provide-kubectl.ts'], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
  encoding: 'utf8',
}).stdout.trim();
const path = [provided, process.env.PATH].filter(Boolean).join(':');

// On a fresh machine that takes three minutes, most of which the network and the disk are waited for: the first round goes on meanwhile.
if (rounds.length === 2) {
  const prepare = ['--import', 'tsx', 'test/support/prepare-cluster.ts'];
  spawn(process.execPath, prepare, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
}

const FILE_TIMEOUT_MS = 600_000;

let failed = false;
for (const { title, files, concurrency } of rounds) {
  console.log(`\n${title} (${files.length} files)`);
  const { status } = spawnSync(
    process.execPath,
    [
      ...['--import', 'tsx', '--test', `--test-concurrency=${concurrency}`, '--test-reporter=spec'],
      // A file that hangs fails, in place of holding up all others for ever.
      `--test-timeout=${FILE_TIMEOUT_MS}`,
      ...files,
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: path, NODE_ENV: 'test' } },
  );
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
