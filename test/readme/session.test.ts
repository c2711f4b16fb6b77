/** The session in the README beside what the program prints now: the same words in the same order, whatever the numbers. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { repository } from '../cluster/paths.js';
import { buildPlugins, missing, until, type Plugins } from '../plugin/programs.js';
import { addNode, addPod, simulateController, startWorld, type World } from '../plugin/world.js';
import { openTerminal } from '../support/terminal.js';
import { COLUMNS, partOf, sessionIn, shapeOf } from './session.js';

const POD = 'counter-migration-test';
const skip = (await missing('tmux')) || (await missing('kubectl'));

describe('the session in the README', { skip }, () => {
  let plugins: Plugins;
  let world: World;
  let stop: () => void = () => {};
  before(async () => {
    [plugins, world] = await Promise.all([buildPlugins(), startWorld()]);
    for (const node of ['k8s-master', 'k8s-worker']) await addNode(world.client, node);
    await addPod(world.client, POD);
    const target = { sourceNode: 'k8s-worker', targetNode: 'k8s-master', restoredPodName: `${POD}-restored` };
    const milliseconds = 123;
    // As the controller writes it of this pod and this node (common/pods, controller/migration).
    const warning =
      'Node k8s-master has the taint node-role.kubernetes.io/control-plane (NoSchedule), which the pod does not tolerate; it is placed there all the same because that node was asked for.';
    stop = simulateController(world.client, () => [
      { status: { phase: 'Pending', ...target, warnings: [warning] } },
      { status: { phase: 'CheckpointInProgress' } },
      { status: { phase: 'MigrationInProgress' } },
      { status: { phase: 'RestoreInProgress' } },
      {
        status: {
          phase: 'Succeeded',
          bytesTransferred: 300_000,
          downtimeMilliseconds: 456,
          downtimeErrorMilliseconds: 28,
          totalMilliseconds: 1610,
          steps: ['Freeze', 'Collect', 'Dump', 'Transfer', 'Stage', 'Restore'].map((name) => ({
            name,
            milliseconds,
          })),
        },
      },
    ]);
  });
  after(async () => {
    stop();
    await plugins.remove();
    await world.close();
  });

  test('is what the program prints now', async (t) => {
    const readme = await readFile(join(repository, 'README.md'), 'utf8');
    const recorded = partOf(sessionIn(readme), /^\$ kubectl migrate /);
    const [command = ''] = recorded.split('\n');
    const terminal = await openTerminal(
      [
        `export LANG=C.UTF-8 NO_COLOR=1 HOME=/nonexistent KUBECONFIG=${world.kubeconfig}`,
        `export PATH='${plugins.links}${delimiter}${process.env.PATH ?? ''}'`,
        `${command.slice(2)}; echo over; sleep 60`,
      ].join('; '),
      { columns: COLUMNS },
    );
    t.after(() => terminal.close());
    await until(async () => (await terminal.screen()).endsWith('\nover'), terminal.last);
    const now = `${command}\n${terminal.last().replace(/\nover$/, '')}`;
    assert.equal(
      shapeOf(recorded),
      shapeOf(now),
      'The program prints something else than the README says: npm run readme',
    );
  });
});
