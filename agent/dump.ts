import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { LpmError } from '../common/errors.js';
import { TcpMode } from '../proto/gen/lpm/v1/agent.js';
import { explainCriuLog, logTail } from './criu-messages.js';
import { crunDump, type DumpCommand } from './crun/dump-command.js';
import type { Host } from './host.js';
import { readLogFile } from './log-file.js';
import type { OciContainer } from './oci.js';

/** Deleted files that a process still holds open are part of the dump up to this size; beyond it, CRIU refuses. */
const GHOST_LIMIT = '64M';

/**
 * CRIU's settings for a dump. They are handed over by CRIU_CONFIG_FILE, which CRIU reads in every mode (criu/config.c), so
 * that they hold for this one dump and neither /etc/criu/runc.conf nor the container's annotations are touched.
 * `network-lock skip`: connections are closed or absent, so there is no packet to hold back, and no iptables is needed.
 */
export function dumpConfig(tcp: TcpMode): string {
  const lines = ['network-lock skip', `ghost-limit ${GHOST_LIMIT}`];
  if (tcp !== TcpMode.TCP_MODE_REFUSE) lines.push('tcp-close');
  return `${lines.join('\n')}\n`;
}

/**
 * Dumps a frozen container into `folder`/checkpoint, with runc if that runs it. It is frozen afterwards as before (CRIU since 4.1
 * leaves a cgroup as it found it).
 *
 * @param timeoutMs after which the runtime and CRIU are killed
 * @throws CriuDumpFailed with the sentence that CRIU's log tells; dump.log stays in the folder
 */
export async function dumpContainer(
  host: Host,
  runtimePath: string,
  container: OciContainer,
  folder: string,
  name: string,
  tcp: TcpMode,
  timeoutMs: number,
  onStart: (pid: number) => void,
): Promise<void> {
  const images = join(folder, 'checkpoint');
  const work = join(folder, 'work');
  const config = join(folder, 'criu.conf');
  writeFileSync(config, dumpConfig(tcp), { mode: 0o600 });
  const { argv, finish } =
    container.runtime === 'crun'
      ? await crunDump(host, container, { images, work })
      : runcDump(runtimePath, container, { images, work });
  const result = await host.run(argv, { env: { CRIU_CONFIG_FILE: config }, onStart, timeoutMs });
  if (result.timedOut) {
    throw new LpmError(
      'TimedOut',
      `Dumping container ${name} took longer than ${Math.round(timeoutMs / 1000)} s; the runtime and CRIU were ended.`,
      {
        // Seen with CRIU 4.2: it waits for ever for a stopped process in a frozen cgroup.
        hint: 'Continue stopped processes in it (kill -CONT); a larger --dump-timeout of the agent gives a large process more time.',
        log: logTail(readLogFile(join(work, 'dump.log'))),
      },
    );
  }
  if (result.code !== 0) {
    const log = readLogFile(join(work, 'dump.log'));
    // Kept beside dump.log: a runtime that fails before it calls CRIU says so nowhere else.
    mkdirSync(work, { recursive: true, mode: 0o700 });
    const words =
      result.stderr || `${basename(argv[0])} ended with exit code ${result.code} and said nothing.\n`;
    writeFileSync(join(work, 'runtime.log'), words, { mode: 0o600 });
    const finding = explainCriuLog(log, result.stderr);
    const said = result.stderr.trim().split('\n').at(-1) ?? '';
    throw new LpmError(
      'CriuDumpFailed',
      `Container ${name} cannot be checkpointed: ${finding?.sentence ?? (said || `the runtime ended with exit code ${result.code}`)}.`,
      { hint: finding?.hint ?? '', log: logTail(log || result.stderr) },
    );
  }
  await finish();
  // The places where podman and CRI-O put them, and checkpointctl looks for them.
  for (const file of ['dump.log', 'stats-dump']) {
    for (const from of [work, images]) {
      if (existsSync(join(from, file))) renameSync(join(from, file), join(folder, file));
    }
  }
  for (const file of readdirSync(images)) chmodSync(join(images, file), 0o600);
}

function runcDump(
  runtimePath: string,
  { runtimeRoot, id }: OciContainer,
  { images, work }: { images: string; work: string },
): DumpCommand {
  return {
    argv: [
      ...([runtimePath, '--root', runtimeRoot, 'checkpoint', '--leave-running'] as const),
      ...['--image-path', images, '--work-path', work],
      ...['--file-locks', '--ext-unix-sk', '--manage-cgroups-mode', 'ignore'],
      id,
    ],
    finish: () => Promise.resolve(),
  };
}
