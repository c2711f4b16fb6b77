/**
 * Simulated: the archives of users' checkpoints as an agent keeps them, on its node and in a repository that the nodes share,
 * and the kubelet's own way of making them. They hold nothing; what matters is which there are and whose.
 */
import { createHash } from 'node:crypto';
import { LpmError } from '../../common/errors.js';
import {
  CheckpointByKubeletResponse,
  CheckpointResponse,
  Step,
  type AgentServiceServer,
  type ArchiveInfo,
  type ArchiveOptions,
  type CheckpointByKubeletRequest,
  type CheckpointRequest,
  type CheckpointResult,
  type ContainerArtifact,
  type ContainerIdentity,
  type OpenTransferRequest,
  TransferDirection,
  type PodRef,
} from '../../proto/gen/lpm/v1/agent.js';
import { stream, unary } from './grpc-handlers.js';
import { progress, type SimulatedNode } from './simulated-node.js';

export interface StoredArchive {
  uri: string;
  checkpointUid: string;
  clusterUid: string;
  containerName: string;
  pod: PodRef;
  node: string;
  info: ArchiveInfo;
  since: Date;
  options: ArchiveOptions;
}

/** What the nodes share: archives by URI. */
export type SimulatedRepository = Map<string, StoredArchive>;

const BYTES = 4096n;
type Service = Pick<
  AgentServiceServer,
  'checkpointByKubelet' | 'listArchives' | 'removeArchive' | 'openTransfer' | 'getTransfer'
>;

export class SimulatedArchives {
  /** On this node only, by URI. */
  readonly local: SimulatedRepository = new Map();
  /** Why the repository cannot be used from here; empty when it can. */
  repositoryProblem = '';
  /** What was really dumped, in order: `<checkpoint UID> <containers>`. */
  readonly dumps: string[] = [];
  /** Containers that the kubelet is checkpointing right now, and the most that it ever did at the same time. */
  kubeletBusy = 0;
  kubeletMost = 0;
  /** By UID of the checkpoint; lost when the agent is restarted. */
  readonly transfers = new Map<string, { request: OpenTransferRequest; complete: boolean }>();
  readonly #results = new Map<string, Promise<CheckpointResult>>();
  readonly #cancel = new Map<string, (why: LpmError) => void>();
  #second = Date.parse('2030-01-01T00:00:00Z');

  constructor(
    private readonly node: SimulatedNode,
    readonly repository: SimulatedRepository,
  ) {}

  /** Archives that lie on this node or in the repository. */
  get all(): StoredArchive[] {
    return [...this.repository.values(), ...this.local.values()];
  }

  async checkpoint(
    { checkpointUid, pod, containers, archive }: CheckpointRequest,
    write: (response: CheckpointResponse) => void,
  ): Promise<void> {
    write({ event: { $case: 'progress', value: progress(Step.STEP_DUMP, 50n) } });
    const value = await this.#once(checkpointUid, () =>
      this.#frozen(checkpointUid, pod!, containers, archive!),
    );
    write({ event: { $case: 'result', value } });
  }

  cancel(checkpointUid: string): void {
    this.#cancel.get(checkpointUid)?.(new LpmError('Canceled', 'The checkpoint was canceled.'));
  }

  service(): Service {
    return {
      checkpointByKubelet: stream<CheckpointByKubeletResponse, CheckpointByKubeletRequest>(
        async ({ checkpointUid, pod, container, archive }, write) => {
          this.node.calls.push('checkpointByKubelet');
          const value = await this.#once(checkpointUid, async () => {
            this.kubeletMost = Math.max(this.kubeletMost, (this.kubeletBusy += 1));
            try {
              const result = await this.#frozen(checkpointUid, pod!, [container!], archive!);
              const gaps = ['emptyDir volumes and /dev/shm are not in it.'];
              for (const { archive: made } of result.containers)
                Object.assign(made!, { gaps, restorable: false });
              return { ...result, frozenAt: undefined, frozenFor: undefined, steps: [] };
            } finally {
              this.kubeletBusy -= 1;
            }
          });
          write({ event: { $case: 'result', value } });
        },
      ),
      listArchives: unary(({ clusterUid }) => ({
        archives: [...(this.repositoryProblem ? [] : this.repository.values()), ...this.local.values()]
          .filter((stored) => stored.clusterUid === clusterUid)
          .map(({ uri, checkpointUid, containerName, pod, node, info, since }) => ({
            uri,
            checkpointUid,
            containerName,
            pod,
            nodeName: node,
            bytes: info.bytes,
            since,
          })),
        repository: {
          shared: this.repositoryProblem === '',
          problem: this.repositoryProblem,
          freeBytes: 1n << 40n,
        },
      })),
      removeArchive: unary(({ uri, checkpointUid }) => {
        this.node.calls.push('removeArchive');
        const shared = uri.startsWith('shared://');
        if (shared && this.repositoryProblem)
          throw new LpmError('RuntimeUnavailable', this.repositoryProblem);
        const where = shared ? this.repository : this.local;
        const stored = where.get(uri);
        if (!stored) return { bytesFreed: 0n };
        if (stored.checkpointUid !== checkpointUid) {
          throw new LpmError('ArtifactInvalid', `Archive ${uri} was made for another checkpoint.`);
        }
        where.delete(uri);
        return { bytesFreed: stored.info.bytes };
      }),
      openTransfer: unary((request) => {
        this.node.calls.push('openTransfer');
        const known = this.transfers.get(request.transferUid);
        if (!known || !known.request.ticketSha256.equals(request.ticketSha256)) {
          this.transfers.set(request.transferUid, { request, complete: false });
        }
        return {};
      }),
      getTransfer: unary(({ transferUid }) => {
        const transfer = this.transfers.get(transferUid);
        if (!transfer) throw new LpmError('CheckpointNotFound', 'No such transfer is open.');
        const { request, complete } = transfer;
        const isImport = request.direction === TransferDirection.TRANSFER_DIRECTION_IMPORT;
        return {
          bytesDone: complete ? BYTES : 0n,
          complete,
          failure: '',
          archives: complete && isImport ? this.#takenIn(request) : [],
        };
      }),
    };
  }

  /** Archives that were uploaded, under the names that the pod gives them. */
  #takenIn({ transferUid, archives, pod, clusterUid }: OpenTransferRequest): ContainerArtifact[] {
    return archives.map(({ containerName, sha256, bytes }) => {
      const known = this.all.find(
        (each) => each.checkpointUid === transferUid && each.containerName === containerName,
      );
      const options = { clusterUid, compression: 0, encrypt: false, podJson: '' };
      const archive = known?.info ?? this.store(transferUid, pod!, containerName, options);
      Object.assign(archive, { sha256, bytes });
      return {
        containerName,
        containerId: '',
        bytes,
        path: '',
        pagesWritten: 0n,
        image: 'busybox:1.35',
        imageRef: 'sha256:simulated',
        archive,
      };
    });
  }

  /** The containers stand still while their archives are made; afterwards they run on, however it ends. */
  async #frozen(
    uid: string,
    pod: PodRef,
    containers: ContainerIdentity[],
    options: ArchiveOptions,
  ): Promise<CheckpointResult> {
    const source = this.node.sources.get(pod.uid);
    if (!source || source.ended) throw new LpmError('PodNotFound', 'The pod is not here.');
    for (const { name, containerId } of containers) {
      if (source.ids.get(name) === containerId) continue;
      throw new LpmError('SourceChanged', `Container ${name} of pod ${pod.name} was restarted.`);
    }
    const frozenAt = this.node.time();
    source.frozen = true;
    this.dumps.push(`${uid} ${containers.map(({ name }) => name).join(' ')}`);
    try {
      await Promise.race([
        this.node.behaviour.duringDump(),
        new Promise<never>((_, reject) => this.#cancel.set(uid, reject)),
      ]);
    } finally {
      source.frozen = false;
      this.#cancel.delete(uid);
    }
    const images = new Map(source.pod.spec!.containers.map(({ name, image }) => [name, image]));
    const made = containers.map(({ name, containerId }) => ({
      containerName: name,
      containerId,
      bytes: BYTES,
      path: `/var/lib/kubelet/checkpoints/${name}.tar`,
      pagesWritten: 1n,
      image: images.get(name) ?? '',
      imageRef: 'sha256:simulated',
      archive: this.store(uid, pod, name, options),
    }));
    return {
      frozenAt,
      completedAt: this.node.time(),
      totalBytes: BYTES * BigInt(made.length),
      containers: made,
      steps: [{ step: Step.STEP_DUMP, duration: { seconds: 0n, nanos: 40_000_000 } }],
      frozenFor: { seconds: 0n, nanos: 42_000_000 },
    };
  }

  /** An archive of this container, in the repository where that can be used. */
  store(checkpointUid: string, pod: PodRef, containerName: string, options: ArchiveOptions): ArchiveInfo {
    // Never two in one second.
    const time = new Date((this.#second += 1000)).toISOString().replace('.000Z', 'Z');
    const uri = this.repositoryProblem
      ? `file:///var/lib/kubelet/checkpoints/checkpoint-${pod.name}_${pod.namespace}-${containerName}-${time}.tar`
      : `shared://${pod.uid}-${containerName}-${time}.tar`;
    const info: ArchiveInfo = {
      uri,
      sha256: createHash('sha256').update(uri).digest(),
      bytes: BYTES,
      repositoryProblem: this.repositoryProblem,
      gaps: [],
      restorable: true,
      description: {
        processes: [{ pid: 1, parentPid: 0, command: 'sh', memoryBytes: 4096n, threads: 1, files: [] }],
        mounts: [],
        image: '',
        imageRef: '',
        runtime: 'runc',
        criuVersion: '4.2.1',
        hostname: pod.name,
        memoryBytes: 4096n,
        layerBytes: 0n,
        volumeBytes: 0n,
        truncated: false,
      },
    };
    (this.repositoryProblem ? this.local : this.repository).set(uri, {
      uri,
      checkpointUid,
      clusterUid: options.clusterUid,
      containerName,
      pod,
      node: this.node.name,
      info,
      since: this.node.time(),
      options,
    });
    return info;
  }

  /** Asked again, the work is joined or its result found; what has failed is begun anew. */
  #once(uid: string, work: () => Promise<CheckpointResult>): Promise<CheckpointResult> {
    let result = this.#results.get(uid);
    if (!result) {
      this.#results.set(uid, (result = work()));
      result.catch(() => this.#results.delete(uid));
    }
    return result;
  }
}
