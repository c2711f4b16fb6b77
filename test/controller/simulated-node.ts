/**
 * Simulated: a node as the controller sees it. An agent that speaks the real protocol over real mutual TLS but keeps its
 * containers in a Map, and as much of a kubelet as the pods' status needs. For tests of the controller only.
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import {
  AGENT_COMMON_NAME_PREFIX,
  AGENT_ORGANIZATION,
  agentDnsName,
  ANNOTATION,
} from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import type { KubeClient } from '../../common/kube/client.js';
import { ListWatch } from '../../common/kube/list-watch.js';
import type { Pod } from '../../common/kube/types.js';
import { secondsTime } from '../../controller/status/conditions.js';
import {
  AgentServiceService,
  type CheckpointRequest,
  CheckpointResponse,
  ListHoldingsResponse,
  type CheckpointOwner,
  Claim,
  ContainerFacts,
  GetNodeInfoResponse,
  GetPodStateResponse,
  InspectPodResponse,
  type KeptLog,
  type RestoreRequest,
  RestoreResponse,
  Step,
  type AgentServiceServer,
} from '../../proto/gen/lpm/v1/agent.js';
import { issueCertificate, type KeyPair } from '../cluster/pki.js';
import { stream, unary } from './grpc-handlers.js';
import { SimulatedArchives, type SimulatedRepository } from './simulated-archives.js';

interface SimulatedSource {
  pod: Pod;
  /** IDs of its containers by name; a container that was restarted has another one. */
  ids: Map<string, string>;
  frozen: boolean;
  ended: boolean;
}

interface SimulatedTarget {
  claim: Claim;
  waiting: boolean;
  restoredAt: Date | undefined;
  restoreUid: string;
}

/** What a test may let a node do otherwise. */
export interface Behaviour {
  info: Partial<GetNodeInfoResponse>;
  facts: Partial<ContainerFacts>;
  /** Awaited while the source is frozen; a throw fails the dump (the source is thawed first, as the contract says). */
  duringDump: () => Promise<void> | void;
  /** Awaited before the claim; a throw fails the restore. */
  beforeCommit: () => Promise<void> | void;
  /** Awaited after the claim, before the answer; a throw loses the answer. */
  afterCommit: () => Promise<void> | void;
  /** The kubelet does not get the target pod ready. */
  handlersWait: boolean;
  /** CRIU's logs that lie here for a checkpoint or a restore; a throw is an agent that cannot tell. */
  logs: (uid: string, podUid: string) => KeptLog[];
}

export class SimulatedNode {
  readonly sources = new Map<string, SimulatedSource>();
  readonly targets = new Map<string, SimulatedTarget>();
  /** How often somebody has asked what this node holds. */
  looks = 0;
  /** What was asked that changes something, in order. */
  readonly calls: string[] = [];
  /** What was to be restored here, in order. */
  readonly restores: RestoreRequest[] = [];
  readonly behaviour: Behaviour = {
    info: {},
    facts: {},
    duringDump: () => {},
    beforeCommit: () => {},
    afterCommit: () => {},
    handlersWait: true,
    logs: () => [],
  };
  readonly archives: SimulatedArchives;
  readonly #checkpoints = new Map<
    string,
    { uid: string; frozenAt: Date; owner: CheckpointOwner | undefined }
  >();
  /** Checkpoints whose source was thawed for good. */
  readonly #over = new Set<string>();
  #server: Server | undefined;
  #heart: NodeJS.Timeout | undefined;
  #pods: ListWatch<Pod> | undefined;

  constructor(
    readonly name: string,
    readonly ip: string,
    /** This node's clock is ahead of the test's by so much. */
    readonly clockSkewMs: number,
    private readonly client: KubeClient,
    private readonly ca: KeyPair,
    repository: SimulatedRepository,
  ) {
    this.archives = new SimulatedArchives(this, repository);
  }

  /** Starts agent and kubelet. With port 0 any port is taken. Returns the agent's port. */
  async start(port: number): Promise<number> {
    await this.client.nodes.create({
      metadata: { name: this.name },
      status: {
        addresses: [{ type: 'InternalIP', address: this.ip }],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    });
    await this.#heartbeat();
    // A node that is silent for 40 s counts as lost.
    this.#heart = setInterval(() => void this.#heartbeat().catch(() => {}), 10_000);
    this.#pods = new ListWatch<Pod>(this.client.pods, {
      onChange: (_, pod) => void (pod && this.#kubelet(pod)),
    }).start();
    return this.startAgent(port);
  }

  async #heartbeat(): Promise<void> {
    await this.client.nodes.patchStatus(this.name, undefined, {
      addresses: [{ type: 'InternalIP', address: this.ip }],
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Simulated',
          message: 'simulated',
          lastHeartbeatTime: secondsTime(Date.now()),
        },
      ],
    });
  }

  async startAgent(port: number): Promise<number> {
    const pair = await issueCertificate(this.ca, {
      commonName: AGENT_COMMON_NAME_PREFIX + this.name,
      organization: [AGENT_ORGANIZATION],
      dnsNames: [agentDnsName(this.name)],
      usages: ['server', 'client'],
    });
    const server = new Server();
    server.addService(AgentServiceService, this.#service());
    const credentials = ServerCredentials.createSsl(
      Buffer.from(this.ca.cert),
      [{ cert_chain: Buffer.from(pair.cert), private_key: Buffer.from(pair.key) }],
      true,
    );
    const bound = await new Promise<number>((resolve, reject) =>
      server.bindAsync(`${this.ip}:${port}`, credentials, (error, actual) =>
        error ? reject(error) : resolve(actual),
      ),
    );
    this.#server = server;
    return bound;
  }

  stopAgent(): void {
    this.#server?.forceShutdown();
  }

  async stop(): Promise<void> {
    clearInterval(this.#heart);
    this.stopAgent();
    await this.#pods?.stop();
  }

  /** A pod's process executes here: as a source that is not frozen, or restored. */
  executes(uid: string): boolean {
    const source = this.sources.get(uid);
    return (
      (source !== undefined && !source.frozen && !source.ended) ||
      this.targets.get(uid)?.restoredAt !== undefined
    );
  }

  async #kubelet(pod: Pod): Promise<void> {
    if (pod.spec?.nodeName !== this.name) return;
    const uid = pod.metadata.uid!;
    const isTarget = pod.metadata.annotations?.[ANNOTATION.migration] !== undefined;
    if (pod.metadata.deletionTimestamp) {
      const source = this.sources.get(uid);
      // The kubelet cannot end what is frozen; the agent does it.
      if (!source || source.ended || !source.frozen) await this.#removeObject(pod);
      return;
    }
    if (!isTarget && !this.sources.has(uid)) {
      const ids = new Map(pod.spec!.containers.map(({ name }) => [name, `${name}-of-${uid}`]));
      this.sources.set(uid, { pod, ids, frozen: false, ended: false });
      await this.#running(pod);
    } else if (isTarget && !this.targets.has(uid)) {
      this.targets.set(uid, {
        claim: Claim.CLAIM_NONE,
        waiting: this.behaviour.handlersWait,
        restoredAt: undefined,
        restoreUid: pod.metadata.annotations![ANNOTATION.migration]!,
      });
    }
  }

  async #running(pod: Pod): Promise<void> {
    await this.client.pods
      .patchStatus(pod.metadata.name, pod.metadata.namespace, {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: pod.spec!.containers.map(({ name, image }) => ({
          name,
          image,
          imageID: 'sha256:simulated',
          ready: true,
          restartCount: 0,
          containerID: `containerd://${this.sources.get(pod.metadata.uid!)?.ids.get(name) ?? `${name}-of-${pod.metadata.uid}`}`,
          state: { running: { startedAt: '2030-01-01T00:00:00Z' } },
        })),
      })
      .catch(() => {});
  }

  /** The kubelet starts a container anew, and says so in the pod's status. */
  async restartContainer(uid: string, name: string): Promise<void> {
    const { pod, ids } = this.sources.get(uid)!;
    ids.set(name, `${ids.get(name)}-again`);
    await this.#running(pod);
  }

  async #removeObject({ metadata }: Pod): Promise<void> {
    await this.client.pods
      .delete(metadata.name, metadata.namespace, { uid: metadata.uid!, gracePeriodSeconds: 0 })
      .catch(() => {});
  }

  time(): Date {
    return new Date(Date.now() + this.clockSkewMs);
  }

  #service(): AgentServiceServer {
    return {
      getNodeInfo: unary(() =>
        GetNodeInfoResponse.fromPartial({
          nodeName: this.name,
          agentVersion: 'simulated',
          agentTime: this.time(),
          architecture: 'amd64',
          cgroupVersion: 2,
          runtimeName: 'containerd',
          ociRuntime: 'runc',
          criuVersion: '4.2.1',
          handlerReady: true,
          cpuModel: 'simulated',
          freeBytes: 1n << 40n,
          ...this.behaviour.info,
        }),
      ),
      inspectPod: unary(({ pod }) => {
        const source = this.sources.get(pod?.uid ?? '');
        if (!source) throw new LpmError('PodNotFound', `The runtime of ${this.name} does not know the pod.`);
        return InspectPodResponse.fromPartial({
          containers: source.pod.spec!.containers.map(({ name }) => ({
            name,
            containerId: source.ids.get(name) ?? `${name}-of-${pod!.uid}`,
            memoryBytes: 1_000_000n,
            ...this.behaviour.facts,
          })),
        });
      }),
      getPodState: unary(({ podUid }) => this.#podState(podUid)),
      checkpoint: stream<CheckpointResponse, CheckpointRequest>(async (request, write) => {
        this.calls.push('checkpoint');
        if (request.archive) return this.archives.checkpoint(request, write);
        const { checkpointUid, pod, thawAfter, owner } = request;
        const source = this.sources.get(pod!.uid);
        if (!source || source.ended) throw new LpmError('PodNotFound', 'The pod is not here.');
        if (this.#over.has(checkpointUid)) throw new LpmError('Revoked', 'This checkpoint was given up.');
        const before = this.#checkpoints.get(pod!.uid);
        const frozenAt = before && before.uid === checkpointUid ? before.frozenAt : this.time();
        source.frozen = true;
        write({ event: { $case: 'progress', value: progress(Step.STEP_DUMP, 50n) } });
        try {
          await this.behaviour.duringDump();
        } catch (error) {
          source.frozen = false;
          throw error;
        }
        if (thawAfter) source.frozen = false;
        this.#checkpoints.set(pod!.uid, { uid: checkpointUid, frozenAt, owner });
        write({
          event: {
            $case: 'result',
            value: {
              frozenAt,
              completedAt: this.time(),
              totalBytes: 4096n,
              containers: source.pod.spec!.containers.map(({ name, image }) => ({
                containerName: name,
                containerId: `${name}-of-${pod!.uid}`,
                bytes: 4096n,
                path: `/var/lib/lpm/checkpoints/${checkpointUid}/${name}`,
                pagesWritten: 1n,
                image: image ?? '',
                imageRef: 'sha256:simulated',
                archive: undefined,
              })),
              steps: [{ step: Step.STEP_DUMP, duration: { seconds: 0n, nanos: 5_000_000 } }],
              frozenFor: undefined,
            },
          },
        });
      }),
      restore: stream<RestoreResponse, RestoreRequest>(async (request, write) => {
        const { pod } = request;
        this.calls.push('restore');
        this.restores.push(request);
        const target = this.#target(pod!.uid);
        if (target.claim === Claim.CLAIM_NONE) {
          write({ event: { $case: 'progress', value: progress(Step.STEP_TRANSFER, 4096n) } });
          write({ event: { $case: 'progress', value: progress(Step.STEP_RESTORE, 0n) } });
          await this.behaviour.beforeCommit();
          if (target.claim === Claim.CLAIM_NONE) {
            target.claim = Claim.CLAIM_COMMITTED;
            target.waiting = false;
            target.restoredAt = this.time();
            const live = await this.client.pods.find(pod!.name, pod!.namespace);
            if (live) await this.#running(live);
          }
          await this.behaviour.afterCommit();
        }
        write({
          event: {
            $case: 'result',
            value: {
              claim: target.claim,
              restoredAt: target.restoredAt,
              bytesTransferred: 4096n,
              steps: [{ step: Step.STEP_RESTORE, duration: { seconds: 0n, nanos: 7_000_000 } }],
            },
          },
        });
      }),
      commit: unary(({ podUid }) => ({ claim: this.#target(podUid).claim })),
      revoke: unary(({ podUid }) => {
        this.calls.push('revoke');
        const target = this.#target(podUid);
        if (target.claim === Claim.CLAIM_NONE) target.claim = Claim.CLAIM_REVOKED;
        return { claim: target.claim };
      }),
      thaw: unary(({ pod, checkpointUid }) => {
        this.calls.push('thaw');
        this.#over.add(checkpointUid);
        this.archives.cancel(checkpointUid);
        const source = this.sources.get(pod?.uid ?? '');
        if (source) source.frozen = false;
        return { thawed: source ? ['counter'] : [], thawedAt: this.time() };
      }),
      endSource: unary(async ({ pod }) => {
        this.calls.push('endSource');
        const live = await this.client.pods.find(pod!.name, pod!.namespace);
        if (live?.metadata.uid === pod!.uid && !live.metadata.deletionTimestamp) {
          throw new LpmError('InvalidArgument', 'The pod object has not been deleted.');
        }
        const source = this.sources.get(pod!.uid);
        if (source) {
          source.ended = true;
          await this.#removeObject(source.pod);
        }
        return { killedProcesses: 1 };
      }),
      discard: unary(({ checkpointUid, podUid }) => {
        this.calls.push('discard');
        for (const [uid, checkpoint] of this.#checkpoints) {
          if (checkpoint.uid !== checkpointUid) continue;
          const source = this.sources.get(uid);
          if (source?.frozen && !source.ended) throw new LpmError('PodBusy', 'Its source is frozen.');
          this.#checkpoints.delete(uid);
        }
        void podUid;
        return { bytesFreed: 4096n };
      }),
      readLogs: unary(({ uid, podUid }) => ({ logs: this.behaviour.logs(uid, podUid) })),
      listHoldings: unary(() => {
        this.looks += 1;
        return ListHoldingsResponse.fromPartial({
          agentTime: this.time(),
          checkpoints: [...this.#checkpoints].map(([podUid, { uid, owner }]) => ({
            checkpointUid: uid,
            pod: {
              uid: podUid,
              name: this.sources.get(podUid)?.pod.metadata.name ?? '',
              namespace: 'default',
            },
            complete: true,
            ...(owner ? { owner } : {}),
          })),
          restores: [...this.targets].map(([podUid, { claim, restoredAt, restoreUid }]) => ({
            podUid,
            restoreUid,
            claim,
            executed: restoredAt !== undefined,
          })),
          frozenPods: [...this.sources.values()]
            .filter(({ frozen, ended }) => frozen && !ended)
            .map(({ pod: { metadata } }) => ({
              pod: { uid: metadata.uid!, name: metadata.name, namespace: metadata.namespace! },
              containerNames: ['counter'],
              podCgroupFrozen: true,
            })),
        });
      }),
      pullArtifacts: notHere(),
      readArchive: notHere(),
      ...this.archives.service(),
    };
  }

  /** UIDs of the checkpoints whose artifacts lie here. */
  get artifacts(): string[] {
    return [...this.#checkpoints.values()].map(({ uid }) => uid);
  }

  #target(uid: string): SimulatedTarget {
    let target = this.targets.get(uid);
    if (!target) {
      target = { claim: Claim.CLAIM_NONE, waiting: false, restoredAt: undefined, restoreUid: '' };
      this.targets.set(uid, target);
    }
    return target;
  }

  #podState(uid: string): GetPodStateResponse {
    const target = this.targets.get(uid);
    const checkpoint = this.#checkpoints.get(uid);
    return GetPodStateResponse.fromPartial({
      agentTime: this.time(),
      source: {
        containers: this.sources.has(uid)
          ? [{ name: 'counter', running: true, frozen: this.sources.get(uid)!.frozen }]
          : [],
        checkpoints: checkpoint ? [{ checkpointUid: checkpoint.uid, complete: true }] : [],
      },
      target: {
        claim: target?.claim ?? Claim.CLAIM_NONE,
        restoredAt: target?.restoredAt,
        containers: target
          ? [
              {
                name: 'counter',
                waiting: target.waiting,
                waitLeft: { seconds: 100n },
                completed: !!target.restoredAt,
              },
            ]
          : [],
      },
    });
  }
}

const notHere = <Request, Response>() =>
  stream<Response, Request>(() =>
    Promise.reject(new LpmError('Internal', 'Nothing is transferred here (simulated).')),
  );

export function progress(step: Step, bytes: bigint) {
  return { step, containerName: '', bytesDone: bytes, bytesTotal: bytes };
}
