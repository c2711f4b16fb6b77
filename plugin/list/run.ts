import { GROUP } from '../../common/api/names.js';
import type { KubeClient } from '../../common/kube/client.js';
import { requireInstalled } from '../checks/installed.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { printList, type ObjectFormat } from '../print-object.js';
import { checkpointTable, migrationTable } from './rows.js';

export interface ListWish {
  what: 'migrations' | 'checkpoints';
  allNamespaces: boolean;
  output?: ObjectFormat | 'wide';
}

export async function list(invocation: Invocation, flags: KubeFlags, wish: ListWish): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const { items, lines } = await load(client, wish, namespace);
  if (wish.output && wish.output !== 'wide') {
    const resource = `${wish.what === 'migrations' ? 'podmigration' : 'podcheckpoint'}.${GROUP}`;
    const text = await printList(items, wish.output, resource);
    if (text !== '') terminal.out(text);
    return EXIT.done;
  }
  if (items.length === 0) {
    terminal.err(wish.allNamespaces ? 'No resources found' : `No resources found in ${namespace} namespace.`);
    return EXIT.done;
  }
  terminal.out(lines().join('\n'));
  return EXIT.done;
}

async function load(client: KubeClient, { what, allNamespaces, output }: ListWish, namespace: string) {
  const where = allNamespaces ? {} : { namespace };
  const wish = { wide: output === 'wide', allNamespaces, now: Date.now() };
  if (what === 'migrations') {
    const { items } = await client.podMigrations.list(where);
    // Lists come without the type of their items.
    const typed = items.map((item) => ({ ...item, ...typeOf('PodMigration') }));
    return { items: typed, lines: () => migrationTable(items, wish) };
  }
  const { items } = await client.podCheckpoints.list(where);
  const typed = items.map((item) => ({ ...item, ...typeOf('PodCheckpoint') }));
  return { items: typed, lines: () => checkpointTable(items, wish) };
}

function typeOf<const K extends string>(kind: K) {
  return { apiVersion: `${GROUP}/v1`, kind };
}
