/** `npm run cluster -- up|down|status|load|logs|cut|slow|heal|reboot`: the local cluster by hand. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { messageOf } from '../../common/errors.js';
import {
  clusterDown,
  clusterUp,
  defaultDir,
  linkPrograms,
  openCluster,
  readRecord,
  type Cluster,
  type ClusterOptions,
} from './cluster.js';
import { alive, neededDaemons, replicaNames } from './cluster-record.js';
import { projectPods, type ProjectPod } from './cluster-installed.js';
import { kubectlCommand } from './kubectl.js';
import { layoutOf, nodePlans } from './layout.js';
import { endpoints } from './network-rules.js';
import { openNode } from './node/start.js';
import { repository } from './paths.js';
import { must } from './run.js';

const began = Date.now();
/** Progress goes to stderr, with the time since the start. */
const say = (line: string): void =>
  console.error(`${((Date.now() - began) / 1000).toFixed(1).padStart(5)}s  ${line}`);

async function up(
  dir: string,
  options: Pick<ClusterOptions, 'faults' | 'processes' | 'replicas'>,
): Promise<void> {
  await buildOnce();
  const cluster = await clusterUp({ dir, say, ...options });
  await linkPrograms(cluster);
  say('the cluster is up');
  const path = (file: string): string => {
    const short = relative(process.cwd(), file);
    return short.startsWith('..') ? file : short || '.';
  };
  const inDir = dir === defaultDir() ? '' : ` --dir ${path(dir)}`;
  console.error(`
Use it:
  export KUBECONFIG=${cluster.kubeconfig} PATH=${cluster.layout.bin}:$PATH
  kubectl apply -f ${path(join(repository, 'manifests/samples/counter.yaml'))}
  kubectl migrate counter-migration-test --to k8s-master
and take it down:
  npm run cluster -- down${inDir}`);
}

/** After a fresh checkout the programs are still to be built; later they are taken as they were built last. */
async function buildOnce(): Promise<void> {
  const programs = ['agent', 'controller', 'kubectl-migrate'];
  if (programs.every((name) => existsSync(join(repository, 'dist', `${name}.mjs`)))) return;
  say('building the programs (npm run build)');
  await must(process.execPath, ['build.mjs'], { cwd: repository });
}

const noCluster = (dir: string): string => `No cluster runs in ${dir}. Start one with: npm run cluster -- up`;

async function status(dir: string): Promise<void> {
  const layout = layoutOf(dir);
  const record = readRecord(layout);
  if (!record) {
    throw new Error(noCluster(layout.dir));
  }
  const line = (name: string, state: string, detail = ''): void =>
    console.log(`${name.padEnd(16)}${state.padEnd(14)}${detail}`.trimEnd());
  const replicas = record.installed ? [] : replicaNames.slice(0, record.replicas ?? 1);
  for (const name of [...neededDaemons(record), ...replicas]) {
    const found = record.processes[name];
    const pid = found ? `pid ${found.pid}` : '';
    const real = name === 'control-plane' && record.assets ? `, kube-apiserver of ${record.assets}` : '';
    line(name, alive(record, name) ? 'running' : 'not running', pid + real);
  }
  for (const plan of nodePlans) {
    const node = openNode(layout.node(plan.name));
    line(plan.name, node ? 'running' : 'not running', node ? `pid ${node.init.pid}, ${plan.ip}` : plan.ip);
    if (!node) continue;
    const script = 'for f in /run/lpm-node/*.pid; do n=${f##*/}; echo "${n%.pid} $(cat "$f")"; done';
    const { stdout } = await node.exec(['sh', '-c', script]);
    for (const service of stdout.trim().split('\n')) line(`  ${service.split(' ')[0] ?? ''}`, 'running');
    const images = await node.exec(['ctr', '-n', 'k8s.io', 'images', 'ls', '-q']);
    for (const image of images.stdout
      .trim()
      .split('\n')
      .filter((name) => !name.startsWith('sha256:'))) {
      line('  image', image);
    }
  }
  const cluster = await openCluster(dir);
  if (!cluster) process.exitCode = 1;
  else if (record.installed) {
    for (const pod of await podsOf(cluster)) {
      line(pod.of, pod.ready ? 'ready' : 'not ready', `pod ${pod.name} on ${pod.node || 'no node yet'}`);
    }
  }
}

async function podsOf(cluster: Cluster): Promise<ProjectPod[]> {
  const kube = cluster.client();
  try {
    return await projectPods(kube);
  } finally {
    kube.close();
  }
}

async function opened(dir: string): Promise<Cluster> {
  const cluster = await openCluster(dir);
  if (!cluster) throw new Error(noCluster(dir));
  return cluster;
}

async function load(dir: string, archive: string): Promise<void> {
  if (!existsSync(archive)) throw new Error(`There is no file ${archive}.`);
  const cluster = await opened(dir);
  for (const node of cluster.nodes) {
    await node.importImage(archive).catch((error: unknown) => {
      const reason = messageOf(error)
        .split('\n')
        .pop()
        ?.replace(/^.*ctr: /, '');
      throw new Error(`${archive} is not a container image that the nodes can take: ${reason}`);
    });
    say(`${relative(process.cwd(), archive)} is in ${node.name}`);
  }
}

/** The logs of pods of ours, where agents and controller are pods: false where they are not, or others are asked for. */
async function podLogs(
  dir: string,
  node: string,
  service: string | undefined,
  follow: boolean,
): Promise<boolean> {
  if (node !== 'controller' && service !== 'agent') return false;
  if (!readRecord(layoutOf(dir))?.installed) return false;
  const cluster = await opened(dir);
  const pods = (await podsOf(cluster)).filter((pod) =>
    service === 'agent' ? pod.of === 'agent' && pod.node === node : pod.of === 'controller',
  );
  if (pods.length === 0) return false;
  const ownFlags = ['--tail=200', ...(follow ? ['-f'] : []), ...(pods.length > 1 ? ['--prefix'] : [])];
  const [command = 'kubectl', ...first] = await kubectlCommand(readRecord(cluster.layout)?.root ?? '');
  const ended = pods.map(({ name }) => {
    const args = [...first, 'logs', '-n', SYSTEM_NAMESPACE, name, ...ownFlags];
    const env = { ...process.env, KUBECONFIG: cluster.kubeconfig };
    return once(spawn(command, args, { stdio: 'inherit', env }), 'close');
  });
  await Promise.all(ended);
  return true;
}

async function logs(dir: string, node: string, service: string | undefined, follow: boolean): Promise<void> {
  const layout = layoutOf(dir);
  if (!existsSync(layout.logs)) throw new Error(noCluster(layout.dir));
  if (await podLogs(dir, node, service, follow)) return;
  const isNode = nodePlans.some(({ name }) => name === node);
  const folder = isNode ? join(layout.logs, node) : layout.logs;
  const wanted = isNode ? service : node;
  const all = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.log')) : [];
  const files = all.filter((name) => !wanted || name === `${wanted}.log`);
  if (files.length === 0) {
    const logs = all.map((name) => name.replace(/\.log$/, ''));
    const names = isNode ? logs : [...nodePlans.map(({ name }) => name), ...logs];
    const what = isNode ? [service, node].filter(Boolean).join(' on ') : node;
    throw new Error(
      `There is no log of ${what}; there ${names.length > 0 ? `are ${names.join(', ')}` : 'is none yet'}.`,
    );
  }
  const child = spawn(
    'tail',
    [...(follow ? ['-F'] : []), '-n', '200', ...files.map((name) => join(folder, name))],
    {
      stdio: 'inherit',
    },
  );
  await new Promise((resolve) => child.on('close', resolve));
}

const ends = <T>(command: Argv<T>) =>
  command
    .positional('a', { type: 'string', demandOption: true })
    .positional('b', { type: 'string', demandOption: true });

await yargs(hideBin(process.argv))
  .scriptName('npm run cluster --')
  .locale('en')
  .version(false)
  .option('dir', { type: 'string', describe: 'Folder of the cluster', default: defaultDir() })
  .command(
    'up',
    'Start the cluster, or what of it does not run',
    (command) =>
      command
        .option('faults', {
          type: 'boolean',
          default: false,
          describe: 'With programs that can be told to die, hang or fail (see test/faults)',
        })
        .option('processes', {
          type: 'boolean',
          describe:
            'With agents and controller as processes, in place of pods from the images and manifests that a real cluster is given',
        })
        .option('replicas', {
          type: 'number',
          choices: [1, 2] as const,
          describe: 'How many of our controller, of which one leads (default: 2 as pods, 1 as processes)',
        }),
    ({ dir, faults, processes, replicas }) =>
      up(dir as string, {
        faults,
        ...(processes === undefined ? {} : { processes }),
        ...(replicas === undefined ? {} : { replicas: replicas as 1 | 2 }),
      }),
  )
  .command('down', 'End the cluster and remove all of it', {}, async (args) => {
    await clusterDown({ dir: args.dir as string, say });
    say('the cluster is gone');
  })
  .command('status', 'Show processes, nodes and images', {}, (args) => status(args.dir as string))
  .command(
    'load <archive>',
    'Load a container image (docker or OCI archive) into every node',
    (command) => command.positional('archive', { type: 'string', demandOption: true }),
    (args) => load(args.dir as string, args.archive),
  )
  .command(
    'logs <node> [service]',
    'Show the logs of a node (kubelet, containerd, agent), of control-plane, controllers, controller, …',
    (command) =>
      command
        .positional('node', { type: 'string', demandOption: true })
        .positional('service', { type: 'string' })
        .option('follow', { alias: 'f', type: 'boolean', default: false }),
    (args) => logs(args.dir as string, args.node, args.service, args.follow),
  )
  .command(
    'cut <a> <b>',
    `Let nothing through between two of ${endpoints.join(', ')}`,
    (command) => ends(command),
    async (args) => {
      await (await opened(args.dir as string)).network.cut(args.a, args.b);
      say(`${args.a} and ${args.b} do not hear each other any more`);
    },
  )
  .command(
    'slow <a> <b>',
    'Limit the rate between two of these, or delay every packet',
    (command) =>
      ends(command)
        .option('rate', { type: 'number', describe: 'Megabits per second' })
        .option('delay', { type: 'number', describe: 'Milliseconds' }),
    async (args) => {
      const { a, b, rate, delay } = args;
      await (
        await opened(args.dir as string)
      ).network.slow(a, b, {
        ...(rate ? { rateMbit: rate } : {}),
        ...(delay ? { delayMs: delay } : {}),
      });
      say(`${a} and ${b} are slow to each other`);
    },
  )
  .command('heal', 'End all that cut and slow did', {}, async (args) => {
    await (await opened(args.dir as string)).network.heal();
    say('the network is whole');
  })
  .command(
    'reboot <node>',
    'Kill everything on a node and start it again from its disks',
    (command) => command.positional('node', { type: 'string', demandOption: true }),
    async (args) => {
      await (await opened(args.dir as string)).node(args.node).reboot();
      say(`${args.node} has booted`);
    },
  )
  .demandCommand(1, 'Say what to do: up, down, status, load, logs, cut, slow, heal or reboot.')
  .strict()
  .fail((message, error, parser) => {
    if (!error) parser.showHelp('error');
    console.error(error ? messageOf(error) : `\n${message}`);
    process.exit(1);
  })
  .parseAsync();
