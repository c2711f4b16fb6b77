/** What the controller writes on nodes, against an API server in memory and simulated nodes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NODE_ANNOTATION, NODE_LABEL } from '../../common/api/names.js';
import { eventually, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
});
after(() => rig.stop());

test('a node is labelled when it is ready, loses that when it is not, and keeps what others have put on it', async () => {
  const { worker, client } = rig;
  await client.nodes.patch(worker.name, undefined, { metadata: { labels: { theirs: 'stays' } } });
  const metadata = async () => (await client.nodes.get(worker.name)).metadata;
  const labelled = (ready: string) =>
    eventually(`ready is ${ready}`, async () => {
      const found = await metadata();
      return found.labels?.[NODE_LABEL.ready] === ready ? found : undefined;
    });
  const first = await labelled('true');
  assert.equal(first.labels?.[NODE_LABEL.criu], '4.2.1');
  assert.equal(first.annotations?.[NODE_ANNOTATION.problem], undefined);

  worker.behaviour.info = { handlerReady: false, handlerProblem: 'The handler is gone.' };
  const second = await labelled('false');
  assert.equal(second.annotations?.[NODE_ANNOTATION.problem], 'The handler is gone.');

  worker.behaviour.info = {};
  const third = await labelled('true');
  assert.equal(third.annotations?.[NODE_ANNOTATION.problem], undefined);
  assert.equal(third.labels?.theirs, 'stays');

  const { resourceVersion } = await metadata();
  let asked = 0;
  worker.behaviour.info = {
    get handlerReady() {
      asked += 1;
      return true;
    },
  };
  await eventually('the agent is asked again', async () => asked >= 3 || undefined);
  assert.equal((await metadata()).resourceVersion, resourceVersion, 'what is right is not written again');
});
