/** `kubectl migrate logs` against a cluster in which controller and agents run as pods: simulated, with their logs. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { API_VERSION, criuLogName, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { KINDS } from '../../common/api/kinds.js';
import type { PodMigration } from '../../common/api/schema.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';

const system = `/api/v1/namespaces/${SYSTEM_NAMESPACE}/pods`;
const at = (second: number): string => `2026-11-28T03:00:${String(second).padStart(2, '0')}.000Z`;

const failed = {
  apiVersion: API_VERSION,
  kind: 'PodMigration',
  metadata: {
    name: 'counter-x',
    namespace: 'default',
    uid: 'm-uid',
    creationTimestamp: '2026-11-28T03:00:00Z',
  },
  spec: { podName: 'counter' },
  status: {
    phase: 'Failed',
    sourceNode: 'k8s-worker',
    targetNode: 'k8s-master',
    sourcePodUID: 's-uid',
    podCheckpointName: 'counter-x',
    completionTime: '2026-11-28T03:00:09Z',
    conditions: [{ type: 'Checkpointed', status: 'False', reason: 'Freezing', message: 'x' }],
  },
} as unknown as PodMigration;

const stored = {
  metadata: { name: criuLogName('counter-x'), ownerReferences: [{ kind: 'PodMigration', uid: 'm-uid' }] },
  data: { 'source.counter.dump.log': '(00.1) Error (criu/x.c:1): boom\n', notes: 'One log is missing.\n' },
};

const pod = (name: string, nodeName: string) => ({
  metadata: { name, namespace: SYSTEM_NAMESPACE },
  spec: { nodeName, containers: [{ name: 'main' }] },
});

const LOGS: Record<string, object[]> = {
  manager: [
    { time: at(1), level: 'info', message: 'Phase Pending: Preparing.', migration: 'default/counter-x' },
    { time: at(2), level: 'info', message: 'Phase Pending: another.', migration: 'default/other' },
    { time: at(8), level: 'info', message: 'Ended: it failed.', migration: 'default/counter-x' },
  ],
  'agent-source': [
    { time: at(3), level: 'info', message: 'somebody else’s', pod_uid: 'other' },
    {
      time: at(4),
      level: 'error',
      message: 'the checkpoint failed',
      checkpoint_uid: 'c-uid',
      reason: 'CriuDumpFailed',
    },
  ],
  'agent-elsewhere': [{ time: at(4), level: 'error', message: 'never asked', pod_uid: 's-uid' }],
};

describe('kubectl migrate logs', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let server: Server;
  let programs = true;
  let mayReadConfigMaps = true;
  let migration = failed;
  let configMap: object | undefined = stored;
  const asked: URL[] = [];

  const answer = (url: URL): object | string | undefined => {
    const path = url.pathname;
    if (path === `/apis/${API_VERSION}`) {
      const resources = Object.values(KINDS).map(({ plural }) => ({ name: plural }));
      return { kind: 'APIResourceList', resources };
    }
    if (path === `/apis/${API_VERSION}/namespaces/default/podmigrations/counter-x`) return migration;
    if (path.endsWith('/podmigrations')) return { items: [migration] };
    if (path.endsWith('/podcheckpoints/counter-x')) {
      return { metadata: { name: 'counter-x', uid: 'c-uid', ownerReferences: [{ uid: 'm-uid' }] } };
    }
    if (path === '/api/v1/namespaces/default/events') {
      const event = {
        metadata: { name: 'e' },
        involvedObject: { kind: 'PodMigration', name: 'counter-x', uid: 'm-uid' },
        type: 'Warning',
        reason: 'CriuDumpFailed',
        message: 'Rolling back.',
        lastTimestamp: '2026-11-28T03:00:05Z',
      };
      const mine = url.searchParams.get('fieldSelector') === 'involvedObject.uid=m-uid';
      return { items: mine ? [event] : [] };
    }
    if (path === system) {
      const selector = url.searchParams.get('labelSelector');
      if (!programs) return { items: [] };
      return {
        items:
          selector === 'control-plane=controller-manager'
            ? [pod('manager', 'k8s-master')]
            : [pod('agent-source', 'k8s-worker'), pod('agent-elsewhere', 'k8s-other')],
      };
    }
    const log = /\/pods\/([^/]+)\/log$/.exec(path)?.[1];
    if (log) return LOGS[log]!.map((line) => `${JSON.stringify(line)}\n`).join('');
    if (path.endsWith(`/configmaps/${criuLogName('counter-x')}`)) return configMap;
    return undefined;
  };

  before(async () => {
    plugins = await buildPlugins();
    server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://host');
      asked.push(url);
      const body = answer(url);
      const forbidden = !mayReadConfigMaps && url.pathname.includes('/configmaps/');
      const code = forbidden ? 403 : body === undefined ? 404 : 200;
      const status = { kind: 'Status', code, reason: forbidden ? 'Forbidden' : 'NotFound', message: 'no' };
      response
        .writeHead(code, { 'Content-Type': 'application/json' })
        .end(code !== 200 ? JSON.stringify(status) : typeof body === 'string' ? body : JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await plugins.remove();
  });
  const call = (...args: string[]) => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return kubectl(['migrate', 'logs', ...args, '--server', url], { links: plugins.links });
  };

  const criu =
    '==> dump.log of container counter on source node k8s-worker <==\n(00.1) Error (criu/x.c:1): boom\n';

  test('shows the lines of this migration in the order of their times, then CRIU’s logs', async () => {
    const { code, stdout, stderr } = await call('pod/counter');
    assert.equal(code, 0, stderr);
    assert.equal(
      stdout,
      [
        `${at(1)}  controller                       info     Phase Pending: Preparing.`,
        `${at(4)}  agent on k8s-worker              error    the checkpoint failed checkpoint_uid=c-uid reason=CriuDumpFailed`,
        '2026-11-28T03:00:05Z      event of PodMigration/counter-x  Warning  CriuDumpFailed: Rolling back.',
        `${at(8)}  controller                       info     Ended: it failed.`,
        '',
        criu,
      ].join('\n'),
    );
    assert.equal(stderr, 'note: One log is missing.\n');
    const logs = asked.filter(({ pathname }) => pathname.endsWith('/log'));
    assert.ok(logs.every(({ searchParams }) => searchParams.get('sinceTime') === '2026-11-28T03:00:00Z'));
    assert.ok(!logs.some(({ pathname }) => pathname.includes('elsewhere')), 'only the two nodes are asked');
  });

  test('--criu shows CRIU’s logs alone', async () => {
    assert.deepEqual(await call('counter-x', '--criu'), {
      code: 0,
      stdout: criu,
      stderr: 'note: One log is missing.\n',
    });
  });

  test('where the programs are no pods, it says so and shows the rest', async () => {
    programs = false;
    const { code, stdout, stderr } = await call('counter-x');
    programs = true;
    assert.equal(code, 0);
    assert.match(stdout, /^2026-11-28T03:00:05Z .*Rolling back\.\n\n==> dump\.log/);
    assert.match(stderr, /^note: Controller and agents do not run as pods in namespace live-pod-migration/);
  });

  test('a migration that has just ended is waited for until its logs are stored', async () => {
    configMap = undefined;
    migration = { ...failed, metadata: { ...failed.metadata, finalizers: ['lpm.my.domain/migration'] } };
    const called = call('counter-x', '--criu');
    asked.length = 0;
    while (asked.filter(({ pathname }) => pathname.includes('/configmaps/')).length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    configMap = stored;
    const { code, stdout } = await called;
    migration = failed;
    assert.equal(code, 0);
    assert.equal(stdout, criu);
  });

  test('no log of CRIU is a sentence and exit code 1, and so is one that may not be read', async () => {
    configMap = {
      ...stored,
      metadata: { ...stored.metadata, ownerReferences: [{ kind: 'PodMigration', uid: 'former' }] },
    };
    const former = await call('counter-x', '--criu');
    configMap = stored;
    assert.equal(former.code, 1);
    assert.equal(former.stdout, '');
    assert.match(
      former.stderr,
      /^error: There is no ConfigMap counter-x-criu-log .*\nSee how it stands: kubectl migrate status counter-x --server/,
    );
    mayReadConfigMaps = false;
    const forbidden = await call('counter-x', '--criu');
    const rest = await call('counter-x');
    mayReadConfigMaps = true;
    assert.match(forbidden.stderr, /^error: You may not read ConfigMaps in namespace default/);
    assert.equal(rest.code, 0);
    assert.match(rest.stderr, /^note: You may not read ConfigMaps/);
  });

  test('an unknown name is answered with near ones, and help shows examples', async () => {
    const { code, stderr } = await call('conuter');
    assert.equal(code, 1);
    assert.match(stderr, /There is no migration "conuter".*\nDid you mean "counter"/);
    const help = await kubectl(['migrate', 'logs', '--help'], { links: plugins.links });
    assert.equal(help.code, 0);
    assert.match(help.stdout, /\n {2}kubectl migrate logs counter-x7k2p --criu > criu\.log\n/);
  });
});
