import { access, constants, stat, statfs } from 'node:fs/promises';
import os from 'node:os';
import { messageOf } from '../common/errors.js';
import { ANNOTATION, RUNTIME_CLASS } from '../common/api/names.js';
import type { GetNodeInfoResponse } from '../proto/gen/lpm/v1/agent.js';
import { freezerOf } from './cgroup.js';
import type { Context } from './context.js';
import type { Host } from './host.js';
import { offersHandler } from './node-setup/offers.js';
import { setUpInfo } from './node-setup/options.js';
import { findOciRuntime, findProgram, readText } from './oci.js';

/** What programs say of themselves is asked for at most this often, as long as they are the same files. */
const CACHE_MS = 30_000;

interface Programs {
  ociRuntime: string;
  ociRuntimeVersion: string;
  criuVersion: string;
  criuProblem: string;
}

/** What was put on the node just now is seen at once. */
export function forgetPrograms(): void {
  cached = undefined;
}

let cached: { at: number; files: string; programs: Promise<Programs> } | undefined;

/** Which files the programs are: one that is gone or replaced is noticed at once. */
async function programFiles(host: Host): Promise<string> {
  const found = await Promise.all([findProgram(host, 'criu'), findOciRuntime(host).catch(() => undefined)]);
  const files = await Promise.all(
    found.map(async (path) => {
      if (!path) return '';
      const file = await stat(host.path(path)).catch(() => undefined);
      return `${path} ${file?.ino} ${file?.mtimeMs}`;
    }),
  );
  return files.join();
}

/** What this node can do. The time is taken last, as close to the answer as can be. */
export async function nodeInfo(context: Context): Promise<GetNodeInfoResponse> {
  const files = await programFiles(context.host);
  if (cached?.files !== files || performance.now() - cached.at > CACHE_MS) {
    cached = { at: performance.now(), files, programs: askPrograms(context.host) };
  }
  const [programs, version, handler, space] = await Promise.all([
    cached.programs,
    context.cri.version(),
    handlerProblem(context),
    statfs(context.state.root),
  ]);
  const cpu = cpuFacts(readText('/proc/cpuinfo'));
  const freezer = freezerOf(readText('/proc/self/cgroup'), '/sys/fs/cgroup');
  return {
    nodeName: context.nodeName,
    agentVersion: context.version,
    architecture: os.arch() === 'x64' ? 'amd64' : os.arch(),
    kernelVersion: os.release(),
    cgroupVersion: freezer?.version ?? 0,
    runtimeName: version.runtimeName,
    runtimeVersion: version.runtimeVersion,
    ...programs,
    handlerReady: handler === '',
    handlerProblem: handler,
    cpuModel: cpu.model,
    cpuFlags: cpu.flags,
    freeBytes: BigInt(space.bavail) * BigInt(space.bsize),
    ...setUpInfo(context.keeper.status),
    agentTime: new Date(),
  };
}

async function askPrograms(host: Host): Promise<Programs> {
  const [oci, criu] = await Promise.all([askOciRuntime(host), askCriu(host)]);
  return { ...oci, ...criu };
}

async function askOciRuntime(host: Host): Promise<Pick<Programs, 'ociRuntime' | 'ociRuntimeVersion'>> {
  try {
    const { stdout } = await host.run([await findOciRuntime(host), '--version']);
    return parseOciVersion(stdout);
  } catch {
    return { ociRuntime: '', ociRuntimeVersion: '' };
  }
}

/** "runc version 1.3.6+ds1" or "crun version 1.28". */
export function parseOciVersion(text: string): Pick<Programs, 'ociRuntime' | 'ociRuntimeVersion'> {
  const match = /^(runc|crun) version (\S+)/m.exec(text);
  return { ociRuntime: match?.[1] ?? '', ociRuntimeVersion: match?.[2] ?? '' };
}

/** CRIU is usable from 4.1 on (it leaves a frozen cgroup frozen), when its own check finds nothing missing. */
async function askCriu(host: Host): Promise<Pick<Programs, 'criuVersion' | 'criuProblem'>> {
  const criu = await findProgram(host, 'criu');
  if (!criu) return { criuVersion: '', criuProblem: 'CRIU is not installed on this node.' };
  const version = parseCriuVersion((await host.run([criu, '--version'])).stdout);
  if (!version) return { criuVersion: '', criuProblem: `${criu} does not tell its version.` };
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 4 || (major === 4 && minor < 1)) {
    return { criuVersion: '', criuProblem: `CRIU ${version} is too old: 4.1 or newer is needed.` };
  }
  const check = await host.run([criu, 'check']);
  if (check.code === 0) return { criuVersion: version, criuProblem: '' };
  const said = `${check.stdout}\n${check.stderr}`.split('\n').find((line) => /Error|fail/i.test(line)) ?? '';
  return { criuVersion: '', criuProblem: `CRIU ${version} does not work on this kernel: ${said.trim()}` };
}

export function parseCriuVersion(text: string): string {
  return /^Version:\s*(\S+)/m.exec(text)?.[1] ?? '';
}

/** Why the runtime handler cannot be used; empty when it can. */
async function handlerProblem(context: Context): Promise<string> {
  const { handlerPath, host, cri } = context;
  try {
    await access(host.path(handlerPath), constants.X_OK);
  } catch {
    return `The runtime handler is not installed at ${handlerPath}.`;
  }
  try {
    const status = await cri.status();
    if (!offersHandler(status)) {
      const handlers = status.runtimeHandlers.map(({ name }) => name).filter(Boolean);
      return `The container runtime offers no handler "${RUNTIME_CLASS}" (only ${handlers.join(', ') || 'its default'}).`;
    }
    return annotationProblem(status.info.config);
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * containerd hands on only the pod annotations that its configuration lists. Without ours the handler would take a target
 * pod for an ordinary one and start it from its image.
 */
export function annotationProblem(config: string | undefined): string {
  if (!config) return '';
  const parsed = JSON.parse(config) as {
    containerd?: { runtimes?: Record<string, { PodAnnotations?: string[] }> };
  };
  const runtime = parsed.containerd?.runtimes?.[RUNTIME_CLASS];
  if (!runtime) return '';
  const patterns = runtime.PodAnnotations ?? [];
  const group = ANNOTATION.migration.split('/')[0];
  const covered = patterns.some(
    (pattern) => pattern === ANNOTATION.migration || pattern === `${group}/*` || pattern === '*',
  );
  return covered ? '' : `containerd's runtime "${RUNTIME_CLASS}" must have pod_annotations = ["${group}/*"].`;
}

/** Model and flags of the first CPU; on arm64 they are called "CPU part" and "Features". */
export function cpuFacts(cpuinfo: string): { model: string; flags: string[] } {
  const value = (key: string): string =>
    new RegExp(`^${key}\\s*:\\s*(.*)$`, 'm').exec(cpuinfo)?.[1]?.trim() ?? '';
  return {
    model: value('model name') || value('CPU part'),
    flags: (value('flags') || value('Features')).split(/\s+/).filter(Boolean),
  };
}
