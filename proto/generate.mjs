// Generates proto/gen from the .proto files with protoc and ts-proto (both from npm). `--check` compares instead of
// writing and exits 1 on a difference, so that committed code and proto cannot drift apart.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const committed = join(root, 'proto/gen');
const check = process.argv.includes('--check');
const out = check ? mkdtempSync(join(tmpdir(), 'lpm-proto-')) : committed;

const filesBelow = (dir, ending) =>
  existsSync(dir)
    ? readdirSync(dir, { recursive: true })
        .map((name) => join(dir, name))
        .filter((name) => name.endsWith(ending))
        .sort()
    : [];

const options = [
  'outputServices=grpc-js',
  'oneof=unions-value',
  'forceLong=bigint',
  'importSuffix=.js',
  'env=node',
  'esModuleInterop=true',
].join(',');

if (!check) rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const protos = ['lpm', 'runtime', 'grpc'].flatMap((dir) => filesBelow(join(root, 'proto', dir), '.proto'));
const { status } = spawnSync(
  join(root, 'node_modules/.bin/protoc'),
  [
    `--plugin=protoc-gen-ts_proto=${join(root, 'node_modules/.bin/protoc-gen-ts_proto')}`,
    `--ts_proto_out=${out}`,
    `--ts_proto_opt=${options}`,
    `-I${join(root, 'proto')}`,
    ...protos,
  ],
  { stdio: 'inherit' },
);
if (status !== 0) process.exit(status ?? 1);

if (check) {
  const names = (dir) => filesBelow(dir, '.ts').map((file) => relative(dir, file));
  const all = new Set([...names(out), ...names(committed)]);
  const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);
  const different = [...all].filter((name) => read(join(out, name)) !== read(join(committed, name)));
  rmSync(out, { recursive: true });
  if (different.length > 0) {
    console.error(
      `proto/gen is not what the .proto files say: ${different.join(', ')}. Run: npm run generate`,
    );
    process.exit(1);
  }
}
