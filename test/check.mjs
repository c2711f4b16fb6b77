// `npm run pretest` after the build: lint and type-check at the same time, as they take longest and have nothing in common.
import { spawn } from 'node:child_process';

const run = (script) =>
  new Promise((resolve) => {
    const child = spawn('npm', ['run', '--silent', script], { stdio: 'inherit' });
    child.on('error', () => resolve(1));
    child.on('close', (code) => resolve(code ?? 1));
  });

const codes = await Promise.all(['lint', 'typecheck'].map(run));
process.exit(codes.some((code) => code !== 0) ? 1 : 0);
