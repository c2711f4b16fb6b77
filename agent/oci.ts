import { readFileSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { LpmError, messageOf } from '../common/errors.js';
import { containerCgroupOf, freezerOf, type FreezerCgroup } from './cgroup.js';
import type { Host } from './host.js';
import { readStat } from './process.js';

/** Where containerd and CRI-O let their OCI runtime keep its state (CRI-O's default is /run/crun even for runc). */
export const DEFAULT_RUNTIME_ROOTS = ['/run/containerd/runc/k8s.io', '/run/runc', '/run/crun'];

/** The part of an OCI runtime's config.json that the agent reads (opencontainers/runtime-spec). */
export interface OciSpec {
  annotations?: Record<string, string>;
  root?: { path?: string };
  process?: {
    user?: { uid?: number; gid?: number };
    capabilities?: { bounding?: string[] };
    noNewPrivileges?: boolean;
    apparmorProfile?: string;
  };
  mounts?: { destination: string; source?: string; type?: string; options?: string[] }[];
  linux?: {
    namespaces?: { type: string; path?: string }[];
    maskedPaths?: string[];
    readonlyPaths?: string[];
    seccomp?: object;
    devices?: { type?: string; major?: number; minor?: number }[];
  };
}

/** A running container as the OCI runtime's own state file and /proc tell, never a request. */
export interface OciContainer {
  id: string;
  /** Its init process, in this PID namespace. */
  pid: number;
  startTime: string;
  /** `--root` with which the OCI runtime finds it. */
  runtimeRoot: string;
  runtime: 'runc' | 'crun';
  bundle: string;
  freezer: FreezerCgroup;
  spec: OciSpec;
}

/**
 * Finds a container's state file below the known roots: runc writes ROOT/ID/state.json (libcontainer), crun writes
 * ROOT/ID/status.
 *
 * @throws ContainerNotFound when there is none, PodNotRunning when its process is gone
 */
export function findOciContainer(host: Host, roots: readonly string[], id: string): OciContainer {
  for (const root of roots) {
    const state = readJson(host.path(join(root, id, 'state.json')));
    if (state) {
      const labels = (state.config as { labels?: string[] } | undefined)?.labels ?? [];
      const bundle = labels.find((label) => label.startsWith('bundle='))?.slice('bundle='.length) ?? '';
      return complete(
        host,
        id,
        root,
        'runc',
        Number(state.init_process_pid),
        bundle,
        state.init_process_start,
      );
    }
    const status = readJson(host.path(join(root, id, 'status')));
    if (status) {
      const started = status['process-start-time'];
      return complete(host, id, root, 'crun', Number(status.pid), String(status.bundle ?? ''), started);
    }
  }
  throw new LpmError('ContainerNotFound', `No OCI runtime on this node knows the container ${id}.`, {
    hint: `Looked in ${roots.join(', ')}; name another with --runtime-root.`,
  });
}

function complete(
  host: Host,
  id: string,
  runtimeRoot: string,
  runtime: 'runc' | 'crun',
  pid: number,
  bundle: string,
  started: unknown,
): OciContainer {
  const stat = readStat(pid);
  if (!stat || stat.state === 'Z' || (started !== undefined && String(started) !== stat.startTime)) {
    throw new LpmError('PodNotRunning', `The process of container ${id} has ended.`);
  }
  const innermost = freezerOf(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), host.path('/sys/fs/cgroup'));
  const freezer = innermost && containerCgroupOf(innermost, id);
  const spec = readJson(host.path(join(bundle, 'config.json')));
  if (!freezer || !spec) {
    throw new LpmError(
      'RuntimeNotSupported',
      `Container ${id} has no ${freezer ? 'bundle' : 'freezer cgroup'}.`,
    );
  }
  return { id, pid, startTime: stat.startTime, runtimeRoot, runtime, bundle, freezer, spec: spec as OciSpec };
}

function readJson(file: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new LpmError('RuntimeNotSupported', `${file} cannot be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/**
 * The node's own OCI runtime, found as the runtime handler finds it: the file /opt/lpm/etc/runtime names it, else runc,
 * else crun from PATH.
 */
export async function findOciRuntime(host: Host): Promise<string> {
  const configured = readText(host.path('/opt/lpm/etc/runtime')).split('\n')[0]?.trim();
  if (configured) return configured;
  for (const name of ['runc', 'crun']) {
    const found = await findProgram(host, name);
    if (found) return found;
  }
  throw new LpmError('RuntimeNotSupported', 'This node has neither runc nor crun in its PATH.', {
    hint: 'Install one, or write its path into /opt/lpm/etc/runtime.',
  });
}

/** Looks for a program of the node; answers its path there. */
export async function findProgram(host: Host, name: string): Promise<string | undefined> {
  for (const dir of host.searchPath.split(':').filter(Boolean)) {
    const file = join(dir, name);
    try {
      await access(host.path(file), constants.X_OK);
      return file;
    } catch {
      // Not in this one.
    }
  }
  return undefined;
}

export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
