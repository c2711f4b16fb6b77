/** `kubectl migrate install`: the manifests are applied, the nodes followed until each has its agent, and doctor looks at it all. */
import { AGENT_LABEL, CONTROLLER_LABEL, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { KubeClient } from '../../common/kube/client.js';
import { DAEMON_SET, DEPLOYMENT, LEASE, resources, type Crd } from '../doctor/objects.js';
import { examine } from '../doctor/run.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { DryRun, KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { pause } from '../pause.js';
import { manyDisplay } from '../progress/many.js';
import { flow, type Terminal } from '../terminal.js';
import { callBackAgents } from '../uninstall/take-back-nodes.js';
import { ApiPaths } from './api-paths.js';
import { apply, type Applied } from './apply.js';
import { bundledManifests, type ManifestObject } from './bundled.js';
import { complete, type ComponentName } from './components.js';
import { withComponent, withImages } from './kustomize.js';
import { rollout } from './rollout.js';

export interface InstallWish {
  components: ComponentName[];
  imageController?: string;
  imageAgent?: string;
  dryRun?: DryRun;
  output?: 'json' | 'yaml';
  wait: boolean;
  /** Milliseconds; 0: for ever. */
  timeoutMs: number;
  forceConflicts: boolean;
  plain: boolean;
}

const LOOK_MS = 500;
/** The API server serves a kind a moment after its definition is there. */
const ESTABLISHED_MS = 30_000;

export async function install(
  invocation: Invocation,
  flags: KubeFlags,
  wish: InstallWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const objects = await wanted(wish);
  if (wish.dryRun === 'client') {
    terminal.out(wish.output ? await printed(objects, wish.output) : objects.map(nameOf).join('\n'));
    return EXIT.done;
  }
  const { client, namespace } = await invocation.connect(flags);
  const applied = await applyAll(client, objects, wish, terminal, invocation.detach.signal);
  if (invocation.detach.signal.aborted) return detached(invocation, terminal);
  if (wish.dryRun === 'server') {
    if (wish.output)
      terminal.out(
        await printed(
          applied.map(({ object }) => object),
          wish.output,
        ),
      );
    return EXIT.done;
  }
  await callBackAgents(client);
  if (!wish.wait) return EXIT.done;
  const ready = await awaitReady(client, terminal, wish.timeoutMs, invocation.detach.signal);
  if (invocation.detach.signal.aborted) return detached(invocation, terminal);
  const code = await examine(terminal, client, namespace, {});
  if (ready) return code;
  terminal.err('Not everything was ready in time; what is applied stays, and goes on to become ready.');
  return EXIT.timedOut;
}

/** The objects as they are applied. */
async function wanted({ components, imageController, imageAgent }: InstallWish): Promise<ManifestObject[]> {
  const manifests = await bundledManifests();
  const objects = complete(components).reduce(
    (sum, name) => withComponent(sum, manifests.components[name]!),
    manifests.objects,
  );
  return withImages(objects, {
    'localhost/controller': imageController,
    'localhost/checkpoint-agent': imageAgent,
  });
}

const nameOf = ({ apiVersion, kind, metadata }: ManifestObject): string => {
  const [group] = apiVersion.includes('/') ? apiVersion.split('/') : [];
  return `${kind.toLowerCase()}${group ? `.${group}` : ''}/${metadata.name}`;
};

/** As a file that kubectl applies. */
async function printed(objects: readonly ManifestObject[], format: 'json' | 'yaml'): Promise<string> {
  const shown = objects.map(({ metadata, ...rest }) => {
    const { managedFields: _, ...kept } = metadata as ManifestObject['metadata'] & {
      managedFields?: unknown;
    };
    const { apiVersion, kind, ...other } = rest;
    return { apiVersion, kind, metadata: kept, ...other };
  });
  if (format === 'json')
    return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: shown }, undefined, 4);
  const { toYaml } = await import('../text/yaml.js');
  return shown.map((object) => toYaml(object)).join('\n---\n');
}

async function applyAll(
  client: KubeClient,
  objects: readonly ManifestObject[],
  { dryRun, forceConflicts }: InstallWish,
  terminal: Terminal,
  detach: AbortSignal,
): Promise<Applied[]> {
  const paths = new ApiPaths(client);
  const isDry = dryRun === 'server';
  const applied: Applied[] = [];
  // What is tried without being made can lie only in a namespace that is there.
  const missing = isDry && !(await client.namespaces.find(SYSTEM_NAMESPACE));
  let skipped = 0;
  for (const object of objects) {
    if (detach.aborted) break;
    if (missing && object.metadata.namespace === SYSTEM_NAMESPACE) {
      skipped += 1;
      continue;
    }
    const one = await apply(client, paths, object, { dryRun: isDry, forceConflicts });
    terminal.err(`${one.shown} ${one.change}${isDry ? ' (server dry run)' : ''}`);
    applied.push(one);
    if (!isDry && object.kind === 'CustomResourceDefinition' && one.change !== 'unchanged') {
      await established(client, object.metadata.name, detach);
    }
  }
  if (skipped > 0) {
    const what = `${skipped} objects of the namespace ${SYSTEM_NAMESPACE} were not checked: it is not there yet.`;
    terminal.err(flow(terminal, `note: ${what}`));
  }
  return applied;
}

async function established(client: KubeClient, name: string, detach: AbortSignal): Promise<void> {
  const { crds } = resources(client);
  const end = Date.now() + ESTABLISHED_MS;
  const isServed = ({ status }: Crd) =>
    status?.conditions?.some((one) => one.type === 'Established' && one.status === 'True') ?? false;
  while (!detach.aborted && Date.now() < end && !isServed(await crds.get(name))) await pause(100, detach);
}

/** False when time ran out. */
async function awaitReady(
  client: KubeClient,
  terminal: Terminal,
  timeoutMs: number,
  detach: AbortSignal,
): Promise<boolean> {
  const kinds = resources(client);
  const system = { namespace: SYSTEM_NAMESPACE };
  const end = timeoutMs === 0 ? Infinity : Date.now() + timeoutMs;
  const look = async () => {
    const [deployment, daemonSet, lease, nodes, controllers, agents] = await Promise.all([
      kinds.deployments.find(DEPLOYMENT, SYSTEM_NAMESPACE),
      kinds.daemonSets.find(DAEMON_SET, SYSTEM_NAMESPACE),
      client.leases.find(LEASE, SYSTEM_NAMESPACE),
      client.nodes.list(),
      client.pods.list({ ...system, labelSelector: CONTROLLER_LABEL }),
      client.pods.list({ ...system, labelSelector: AGENT_LABEL }),
    ]);
    return rollout({
      deployment,
      daemonSet,
      lease,
      nodes: nodes.items,
      controllers: controllers.items,
      agents: agents.items,
    });
  };
  let now = await look();
  const display = await manyDisplay(terminal, { title: 'Controller and agents', total: now.parts.length });
  const ended = new Set<string>();
  try {
    for (;;) {
      for (const { key, ready, text } of now.parts) {
        if (ended.has(key)) continue;
        if (!ready) display.say(key, text);
        else {
          ended.add(key);
          display.end(key, 'done', text);
        }
      }
      if (now.done) return true;
      if (detach.aborted || Date.now() > end) return false;
      await pause(LOOK_MS, detach);
      now = await look();
    }
  } finally {
    await display.close();
  }
}

function detached(invocation: Invocation, terminal: Terminal): ExitCode {
  terminal.err('Detached; what is applied stays, and goes on to become ready.');
  terminal.err(`Go on with: ${invocation.again(`${invocation.program} install`)}`);
  return EXIT.detached;
}
