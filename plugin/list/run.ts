import { API_VERSION, GROUP } from '../../common/api/names.js';
import { requireInstalled } from '../checks/installed.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import type { ObjectFormat } from '../output/format.js';
import { inOrder, printList } from '../output/print.js';
import { migrationTable } from './rows.js';

export interface ListWish {
  allNamespaces: boolean;
  /** Path of a field. */
  sortBy?: string;
  output?: ObjectFormat;
}

export async function list(invocation: Invocation, flags: KubeFlags, wish: ListWish): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const found = await client.podMigrations.list(wish.allNamespaces ? {} : { namespace });
  const items = await inOrder(found.items, wish.sortBy);
  if (wish.output && wish.output !== 'wide') {
    // Lists come without the type of their items.
    const typed = items.map((item) => ({ ...item, apiVersion: API_VERSION, kind: 'PodMigration' }));
    terminal.raw(await printList(typed, wish.output, `podmigration.${GROUP}`));
    return EXIT.done;
  }
  if (items.length === 0) {
    terminal.err(wish.allNamespaces ? 'No resources found' : `No resources found in ${namespace} namespace.`);
    return EXIT.done;
  }
  const { allNamespaces, output } = wish;
  terminal.out(migrationTable(items, { wide: output === 'wide', allNamespaces, now: Date.now() }).join('\n'));
  return EXIT.done;
}
