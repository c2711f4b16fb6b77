import type { ContainerCheckpointContent } from '../../../common/api/schema.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import { requireInstalled } from '../../checks/installed.js';
import { EXIT, type ExitCode } from '../../exit-code.js';
import type { KubeFlags } from '../../flags.js';
import type { Invocation } from '../../invocation.js';
import type { ObjectFormat } from '../../output/format.js';
import { inOrder, printList } from '../../output/print.js';
import { allCheckpoints } from '../find.js';
import { ownerOf, resourceName, type Checkpoint } from '../kinds.js';
import { checkpointTable } from './rows.js';

export interface ListCheckpointsWish {
  allNamespaces: boolean;
  /** Also those that belong to migrations. */
  migrations: boolean;
  selector?: string;
  /** Path of a field. */
  sortBy?: string;
  output?: ObjectFormat;
}

export async function listCheckpoints(
  invocation: Invocation,
  flags: KubeFlags,
  { allNamespaces, migrations, selector, sortBy, output }: ListCheckpointsWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const query = {
    ...(allNamespaces ? {} : { namespace }),
    ...(selector === undefined ? {} : { labelSelector: selector }),
  };
  const all = await allCheckpoints(client, query);
  const shown = migrations ? all : all.filter((item) => ownerOf(item)?.kind !== 'PodMigration');
  const items = await inOrder(shown, sortBy);
  if (output && output !== 'wide') {
    terminal.raw(await printList(items, output, ({ kind }) => resourceName(kind as Checkpoint['kind'])));
    return EXIT.done;
  }
  if (items.length === 0) {
    terminal.err(allNamespaces ? 'No resources found' : `No resources found in ${namespace} namespace.`);
    return EXIT.done;
  }
  const contents = await allContents(client);
  terminal.out(
    checkpointTable(items, contents, { wide: output === 'wide', allNamespaces, now: Date.now() }).join('\n'),
  );
  return EXIT.done;
}

/** Empty for a person who may not read what is cluster-scoped: a column less is known then. */
async function allContents(client: KubeClient): Promise<ContainerCheckpointContent[]> {
  try {
    return (await client.containerCheckpointContents.list()).items;
  } catch (error) {
    if (error instanceof ApiError && error.isForbidden) return [];
    throw error;
  }
}
