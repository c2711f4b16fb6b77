/** The controller as a process of its own, as the kubelet starts it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { eventually } from './rig.js';

const main = fileURLToPath(new URL('../../controller/main.ts', import.meta.url));

export class ControllerProcess {
  readonly child: ChildProcess;
  /** Exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  stderr = '';
  readonly #healthPort: number;

  constructor(args: string[], healthPort = 0) {
    const { KUBERNETES_SERVICE_HOST: _, ...env } = process.env;
    const health = healthPort ? [`--health-listen=127.0.0.1:${healthPort}`] : [];
    this.#healthPort = healthPort;
    this.child = spawn(process.execPath, ['--import', 'tsx', main, ...args, ...health], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      if (process.env.LPM_TEST_LOG) process.stderr.write(chunk);
    });
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
  }

  /** Waits for words in its log. */
  async says(words: string): Promise<void> {
    await eventually(`the controller says: ${words}`, () =>
      Promise.resolve(this.stderr.includes(words) ? true : undefined),
    );
  }

  /** Status code and body of one of its health endpoints; undefined while it does not listen. */
  async health(path: string): Promise<{ code: number; text: string } | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#healthPort}${path}`);
      return { code: response.status, text: await response.text() };
    } catch {
      return undefined;
    }
  }

  async ready(): Promise<void> {
    await eventually('the controller is ready', async () =>
      (await this.health('/readyz'))?.code === 200 ? true : undefined,
    );
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
