/** What a test of the controller stands on: an API server in memory, two simulated nodes, certificates, a controller. */
import assert from 'node:assert/strict';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { parse } from 'yaml';
import { CONTROLLER_COMMON_NAME, CONTROLLER_ORGANIZATION } from '../../common/api/names.js';
import type { MigrationPhase, PodMigration } from '../../common/api/schema.js';
import { KubeClient } from '../../common/kube/client.js';
import { loadKubeConfig } from '../../common/kube/config.js';
import type { CoreEvent, Pod } from '../../common/kube/types.js';
import { Log } from '../../controller/log.js';
import { runController, type Controller } from '../../controller/run.js';
import { startTestApiServer, type TestApiServer } from '../cluster/apiserver/testing.js';
import { createCa, issueCertificate } from '../cluster/pki.js';
import type { SimulatedRepository } from './simulated-archives.js';
import { SimulatedNode } from './simulated-node.js';

export class Rig {
  controller!: Controller;
  port = 0;
  readonly logLines: string[] = [];

  private constructor(
    readonly api: TestApiServer,
    readonly client: KubeClient,
    readonly worker: SimulatedNode,
    readonly master: SimulatedNode,
    private readonly tls: ChannelCredentials,
    /** The controller's certificate, its key and the CA of the agents (PEM). */
    readonly certificates: { cert: string; key: string; ca: string },
  ) {}

  static async start(): Promise<Rig> {
    const api = await startTestApiServer();
    const client = new KubeClient(loadKubeConfig({ kubeconfig: api.kubeconfig }), { userAgent: 'test' });
    const runtimeClass: unknown = parse(
      await readFile(new URL('../../manifests/runtimeclass.yaml', import.meta.url), 'utf8'),
    );
    await client.json('POST', '/apis/node.k8s.io/v1/runtimeclasses', { body: runtimeClass });
    const ca = await createCa('lpm-test-agents');
    const own = await issueCertificate(ca, {
      commonName: CONTROLLER_COMMON_NAME,
      organization: [CONTROLLER_ORGANIZATION],
      usages: ['client'],
    });
    const tls = credentials.createFromSecureContext(
      createSecureContext({ cert: own.cert, key: own.key, ca: ca.cert, minVersion: 'TLSv1.3' }),
    );
    // Two addresses of the loopback network, so that both agents can have the same port. Their clocks differ by minutes.
    const repository: SimulatedRepository = new Map();
    const worker = new SimulatedNode('k8s-worker', '127.0.0.1', 180_000, client, ca, repository);
    const master = new SimulatedNode('k8s-master', '127.0.0.2', -240_000, client, ca, repository);
    const rig = new Rig(api, client, worker, master, tls, { ...own, ca: ca.cert });
    rig.port = await worker.start(0);
    await master.start(rig.port);
    await rig.startController();
    return rig;
  }

  async startController(options: Partial<Parameters<typeof runController>[0]> = {}): Promise<void> {
    this.controller = await this.anotherController(this.client, options);
  }

  /** A client of one's own, as each process has it. */
  newClient(): KubeClient {
    return new KubeClient(loadKubeConfig({ kubeconfig: this.api.kubeconfig }), { userAgent: 'test' });
  }

  /** One more controller beside the rig's own, to be stopped by the test. */
  async anotherController(
    client: KubeClient,
    options: Partial<Parameters<typeof runController>[0]> = {},
  ): Promise<Controller> {
    const controller = runController({
      client,
      agentTls: () => this.tls,
      agentPort: this.port,
      workers: 4,
      log: new Log('debug', {}, (line) => {
        this.logLines.push(line);
        if (process.env.LPM_TEST_LOG) process.stderr.write(line);
      }),
      agentTimeouts: { callMs: 2000, workMs: 2000, silenceMs: 2000 },
      sweepTimes: { everyMs: 200, graceMs: 1000 },
      labelEveryMs: 200,
      ...options,
    });
    await controller.started;
    return controller;
  }

  async stop(): Promise<void> {
    await this.controller.stop();
    await this.worker.stop();
    await this.master.stop();
    this.client.close();
    await this.api.close();
  }

  /** A pod that runs on k8s-worker. */
  async runningPod(name: string, change: (pod: Pod) => void = () => {}): Promise<Pod> {
    const pod: Pod = {
      metadata: { name, namespace: 'default', labels: { app: name } },
      spec: {
        nodeName: 'k8s-worker',
        containers: [
          { name: 'counter', image: 'busybox:1.35', volumeMounts: [{ name: 'data', mountPath: '/data' }] },
        ],
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    };
    change(pod);
    await this.client.pods.create(pod, 'default');
    return eventually(`pod ${name} runs`, async () => {
      const live = await this.client.pods.get(name, 'default');
      return live.status?.phase === 'Running' ? live : undefined;
    });
  }

  migrate(name: string, spec: Partial<PodMigration['spec']> & { podName: string }): Promise<PodMigration> {
    return this.client.podMigrations.create(
      { metadata: { name, namespace: 'default' }, spec: { targetNode: 'k8s-master', ...spec } },
      'default',
    );
  }

  migration(name: string): Promise<PodMigration> {
    return this.client.podMigrations.get(name, 'default');
  }

  /** Waits for the end of a migration and expects it to be this one. */
  async ended(name: string, phase: 'Succeeded' | 'Failed'): Promise<NonNullable<PodMigration['status']>> {
    const migration = await eventually(`migration ${name} ends`, async () => {
      const live = await this.migration(name);
      const done = live.status?.phase === 'Succeeded' || live.status?.phase === 'Failed';
      return done && !live.metadata.finalizers?.length ? live : undefined;
    });
    assert.equal(migration.status?.phase, phase, JSON.stringify(migration.status, undefined, 1));
    return migration.status!;
  }

  async inPhase(name: string, phase: MigrationPhase): Promise<void> {
    await eventually(`migration ${name} is in phase ${phase}`, async () =>
      (await this.migration(name)).status?.phase === phase ? true : undefined,
    );
  }

  async eventsOf(uid: string): Promise<CoreEvent[]> {
    const { items } = await this.client.events.list({ namespace: 'default' });
    return items.filter((event) => event.involvedObject.uid === uid);
  }
}

/** Polls until there is a value; fails with the description after a minute. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (Date.now() > deadline) assert.fail(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** Something that a test opens later. */
export function gate(): { wait: Promise<void>; open: () => void } {
  let open = () => {};
  const wait = new Promise<void>((resolve) => (open = resolve));
  return { wait, open };
}
