/** Runs a guest under qemu's emulation and hears what it reports. */
import { spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { GuestImage } from './image.js';
import { parseReport, type Report } from './guest/report.js';

export interface Guest {
  /** The next thing that the guest reports. @throws with the end of its console when it ends, or hangs and is ended */
  next(): Promise<Report>;
  /** Ends it at once. */
  stop(): Promise<void>;
}

export interface GuestOptions {
  qemu: string;
  image: GuestImage;
  /** Tar archive that the guest unpacks over its root. */
  payload: string;
  /** For the console's log. */
  dir: string;
  /** A guest that says nothing for so long hangs, and is ended. */
  silenceMs: number;
  /** It is ended after so long, whatever it does. */
  limitMs: number;
}

/** Guards against what one process could read of another's cost emulation much, and protect nobody here. */
const kernelArguments =
  'console=ttyS0 quiet panic=-1 mitigations=off root=/dev/nvme0n1 rw rootfstype=ext4 init=/loader.sh';

/**
 * Without KVM: emulation works wherever qemu does, a /dev/kvm that exists need not. The disks are NVMe because that driver
 * is built into Debian's cloud kernel, so that no initramfs is needed.
 */
function flags({ image, payload }: GuestOptions, consoleLog: string): string[] {
  const disk = (id: string, file: string, more: string): string[] => [
    '-drive',
    `if=none,id=${id},file=${file},format=raw,${more}`,
    '-device',
    `nvme,drive=${id},serial=${id}`,
  ];
  return [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '2048'],
    ...['-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-serial', `file:${consoleLog}`, '-serial', 'stdio'],
    ...['-kernel', image.kernel],
    ...['-append', kernelArguments],
    // What the guest writes lies in a temporary file that is gone with it.
    ...disk('root', image.disk, 'snapshot=on,cache=unsafe'),
    ...disk('payload', payload, 'readonly=on'),
  ];
}

export function startGuest(options: GuestOptions): Guest {
  const consoleLog = join(options.dir, 'console.log');
  // A test process that is killed itself must not leave an emulator behind: the kernel sees to it.
  const argv = ['--pdeathsig', 'KILL', options.qemu, ...flags(options, consoleLog)];
  const child = spawn('setpriv', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  let over: string | undefined;
  const end = (why: string): void => {
    over ??= why;
    child.kill('SIGKILL');
    notify();
  };
  const exited = new Promise<void>((resolve) => {
    child.on('error', (error) => (end(String(error)), resolve()));
    child.on('close', (code) => (end(`qemu ended (${code ?? 'killed'}) ${stderr.trim()}`), resolve()));
  });
  const limit = setTimeout(
    () => end(`it was not done within ${options.limitMs / 60_000} minutes`),
    options.limitMs,
  );
  let silence: NodeJS.Timeout | undefined;
  const heard = (): void => {
    clearTimeout(silence);
    const seconds = options.silenceMs / 1000;
    silence = setTimeout(() => end(`it said nothing for ${seconds} s`), options.silenceMs);
  };
  heard();

  const reports: Report[] = [];
  let notify = (): void => {};
  const log = createWriteStream(join(options.dir, 'reports.log'));
  createInterface(child.stdout).on('line', (line) => {
    log.write(`${line}\n`);
    const report = parseReport(line);
    if (!report) return;
    heard();
    reports.push(report);
    notify();
  });
  const tail = (): string => {
    try {
      return readFileSync(consoleLog, 'utf8').trim().split('\n').slice(-25).join('\n');
    } catch {
      return '(no console)';
    }
  };
  return {
    async next() {
      for (;;) {
        const report = reports.shift();
        if (report) return report;
        if (over !== undefined)
          throw new Error(`The guest was lost: ${over}. The end of its console:\n${tail()}`);
        await new Promise<void>((resolve) => (notify = resolve));
      }
    },
    async stop() {
      end('it was stopped');
      await exited;
      clearTimeout(limit);
      clearTimeout(silence);
    },
  };
}
