/**
 * `npm run readme`: records the terminal session of the README anew. Brings the local cluster up if needed, moves the guide's
 * counter in a real terminal with the real kubectl, and writes what was to be seen there between the README's markers.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../common/errors.js';
import { clusterDown, clusterUp, linkPrograms, openCluster, type Cluster } from '../cluster/cluster.js';
import { repository } from '../cluster/paths.js';
import { openTerminal } from '../support/terminal.js';
import { until } from '../support/until.js';
import { COLUMNS, withSession } from './session.js';

const POD = 'counter-migration-test';
const COMMANDS = [
  `kubectl logs ${POD} --tail=2`,
  `kubectl migrate ${POD} --to k8s-master`,
  `kubectl logs ${POD}-restored --tail=4`,
];
const PROMPT = /(^|\n)\$$/;

async function record(cluster: Cluster): Promise<string> {
  await linkPrograms(cluster);
  const must = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  await must('delete', 'pod', POD, `${POD}-restored`, '--ignore-not-found', '--grace-period=1');
  await must('apply', '-f', join(repository, 'manifests/samples/counter.yaml'));
  await must('wait', '--for=condition=Ready', `pod/${POD}`, '--timeout=60s');
  const lines = async (pod: string) => (await must('logs', pod)).split('\n').length;
  const counted = (pod: string, least: number) =>
    until(`${pod} has counted`, async () => (await lines(pod)) > least, { everyMs: 250 });
  const path = `${cluster.layout.bin}:${process.env.PATH ?? ''}`;
  const terminal = await openTerminal(
    `export LANG=C.UTF-8 NO_COLOR=1 PS1='$ ' KUBECONFIG=${cluster.kubeconfig} PATH='${path}'; exec sh -i`,
    { columns: COLUMNS, rows: 60 },
  );
  try {
    for (const [index, command] of COMMANDS.entries()) {
      await until('the prompt is there', async () => PROMPT.test(await terminal.screen()), {
        timeoutMs: 120_000,
      });
      if (index === 0) await counted(POD, 3);
      if (index === 2) await counted(`${POD}-restored`, (await lines(`${POD}-restored`)) + 2);
      await terminal.type(command);
      await terminal.press('Enter');
      await until('the command has begun', async () => !PROMPT.test(await terminal.screen()));
    }
    await until('the prompt is there', async () => PROMPT.test(await terminal.screen()));
    const session = terminal.last().replace(PROMPT, '').replace(/ +$/gm, '');
    if (/error:/.test(session)) throw new Error(`The migration failed:\n${session}`);
    return session;
  } finally {
    await terminal.close();
    await must('delete', 'pod', POD, `${POD}-restored`, '--ignore-not-found', '--grace-period=1');
  }
}

async function main(): Promise<number> {
  // Another folder than .cluster, where one of a person may run: --dir of the cluster's own command.
  const dir = process.env.LPM_CLUSTER_DIR;
  const options = dir ? { dir } : {};
  const running = await openCluster(dir);
  try {
    const session = await record(await clusterUp({ ...options, say: (line) => console.error(line) }));
    const file = join(repository, 'README.md');
    await writeFile(file, withSession(await readFile(file, 'utf8'), session));
    console.log(session);
    return 0;
  } catch (error) {
    console.error(messageOf(error));
    return 1;
  } finally {
    if (!running) await clusterDown(options);
  }
}

process.exitCode = await main();
