import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import type { CoreEvent, Node, Pod } from '../../common/kube/types.js';
import { createCa, issueCertificate } from '../../test/cluster/pki.js';
import type { Finding } from './finding.js';
import { findings } from './findings.js';
import { healthy, node, NOW, pod, waiting } from './healthy.testing.js';
import { parseMetrics } from './metrics.js';
import type { Crd } from './objects.js';
import type { Observed } from './observed.js';

const DAY_MS = 86_400_000;
const AGENT = 'agent-k8s-worker';

describe('doctor finds', () => {
  let well: Observed;
  before(async () => {
    well = await healthy();
    const { cert: ca } = await createCa('lpm-ca');
    well.authority = {
      seen: { metadata: { name: 'lpm-ca-bundle' }, data: { 'ca.crt': ca, signers: '10.1.0.4:8443\n' } },
    };
  });

  const find = (altered: Partial<Observed>, check: string, on?: string): Finding => {
    const found = findings({ ...well, ...altered }).filter(
      (one) => one.check === check && (on === undefined || one.node === on),
    );
    assert.equal(found.length, 1, `one finding of ${check}: ${JSON.stringify(found)}`);
    return found[0]!;
  };
  const fails = (finding: Finding, said: RegExp, command?: RegExp): void => {
    assert.equal(finding.status, 'fail', finding.message);
    assert.match(finding.message, said);
    assert.ok(finding.commands.length > 0, 'what to do is said');
    if (command) assert.match(finding.commands.join('\n'), command);
  };
  /** The agent of the worker in another state. */
  const agentIs = (status: ReturnType<typeof waiting>, more: Partial<Observed> = {}): Finding => {
    const [other] = 'seen' in well.agents ? well.agents.seen : [];
    return find(
      { agents: { seen: [other!, pod(AGENT, 'k8s-worker', status)] }, ...more },
      'agent',
      'k8s-worker',
    );
  };

  test('nothing in a cluster in which nothing is missing', () => {
    assert.deepEqual(
      findings(well).filter(({ status }) => status !== 'ok'),
      [],
    );
  });

  test('of one node only what is asked about that node', () => {
    const nodes = new Set(findings(well, 'k8s-worker').map((finding) => finding.node));
    assert.deepEqual([...nodes].sort(), ['k8s-worker', undefined]);
  });

  test('an API server that is too old', () => {
    const server = { ...well.server, version: 'v1.24.9' };
    fails(find({ server }, 'api-server'), /version v1\.24\.9; 1\.25 or newer is needed/);
  });

  test('a clock of this machine that is wrong', () => {
    const finding = find({ server: { ...well.server, aheadMs: -120_000 } }, 'api-server');
    assert.equal(finding.status, 'warn');
    assert.match(finding.message, /120 s behind the API server's/);
  });

  describe('CRDs', () => {
    const altered = (alter: (crds: Crd[]) => Crd[]): Partial<Observed> => {
      const installed = structuredClone((well.crds.installed as { seen: Crd[] }).seen);
      return { crds: { ...well.crds, installed: { seen: alter(installed) } } };
    };
    const specOf = (crd: Crd) =>
      (
        crd.spec.versions[0]!.schema!.openAPIV3Schema as {
          properties: { spec: { properties: Record<string, unknown> } };
        }
      ).properties.spec.properties;

    test('that are missing, all or some', () => {
      fails(
        find(
          altered(() => []),
          'crds',
        ),
        /^None of the CRDs is installed\.$/,
        /migrate install/,
      );
      const some = altered((crds) =>
        crds.filter(({ metadata }) => metadata.name !== 'podmigrations.lpm.my.domain'),
      );
      fails(find(some, 'crds'), /^CRDs are missing: podmigrations\.lpm\.my\.domain\.$/);
    });

    test('that lack a field that this program uses', () => {
      const older = altered((crds) => {
        delete specOf(crds.find(({ metadata }) => metadata.name.startsWith('podmigrations'))!)['resolution'];
        return crds;
      });
      fails(
        find(older, 'crds'),
        /older than this plugin: podmigrations\.lpm\.my\.domain has no spec\.resolution, /,
      );
    });

    test('that have a field that this program does not know', () => {
      const newer = altered((crds) => {
        specOf(crds[0]!)['later'] = { type: 'string' };
        return crds;
      });
      const finding = find(newer, 'crds');
      assert.equal(finding.status, 'warn');
      assert.match(finding.message, /newer than this plugin: \S+ has spec\.later\./);
    });

    test('that may not be read, but are served: unknown, not ok', () => {
      const hidden = { ...well.crds, installed: { hidden: 'You may not list customresourcedefinitions.' } };
      assert.equal(find({ crds: hidden }, 'crds').status, 'unknown');
      fails(find({ crds: { ...hidden, served: { seen: false } } }, 'crds'), /Not every kind/);
    });
  });

  test('a namespace that is missing, or being deleted, or does not let the agents be privileged', () => {
    fails(find({ systemNamespace: { seen: undefined } }, 'namespace'), /There is no namespace live-pod/);
    const { seen } = well.systemNamespace as { seen: NonNullable<unknown> };
    const going = { ...seen, status: { phase: 'Terminating' } } as never;
    fails(find({ systemNamespace: { seen: going } }, 'namespace'), /is being deleted/);
    const strict = { metadata: { name: SYSTEM_NAMESPACE, labels: {} } };
    assert.equal(find({ systemNamespace: { seen: strict } }, 'namespace').status, 'warn');
  });

  test('a RuntimeClass that is missing or has another handler', () => {
    fails(find({ runtimeClass: { seen: undefined } }, 'runtime-class'), /no RuntimeClass lpm/);
    const other = { metadata: { name: 'lpm' }, handler: 'runc' };
    fails(
      find({ runtimeClass: { seen: other } }, 'runtime-class'),
      /has the handler runc/,
      /delete runtimeclass lpm/,
    );
  });

  describe('a controller', () => {
    const scaled = (replicas: number, availableReplicas: number): Partial<Observed> => {
      const { seen } = well.deployment as { seen: { spec: object } };
      return {
        deployment: {
          seen: { ...seen, spec: { ...seen.spec, replicas }, status: { availableReplicas } } as never,
        },
      };
    };

    test('that is not there, or scaled to nothing', () => {
      fails(find({ deployment: { seen: undefined } }, 'controller'), /no Deployment lpm-controller-manager/);
      fails(find(scaled(0, 0), 'controller'), /scaled to 0/, /--replicas=2/);
    });

    test('that does not come up, with the reason of its pod', () => {
      const log =
        '{"time":"…","message":"Cannot read /etc/lpm/tls/tls.crt.","hint":"Mount the certificate."}';
      const crashing = pod('lpm-controller-manager-1', 'k8s-master', waiting('CrashLoopBackOff', '', 7));
      const finding = find(
        {
          ...scaled(2, 0),
          controllers: { seen: [crashing] },
          logs: new Map([[crashing.metadata.uid!, [log]]]),
        },
        'controller',
      );
      fails(
        finding,
        /No replica .*restarted 7 times.*Cannot read \/etc\/lpm\/tls\/tls\.crt\. Mount the certificate\./,
        /--previous/,
      );
    });

    test('of which one replica is missing: a warning', () => {
      assert.equal(find(scaled(2, 1), 'controller').status, 'warn');
    });

    test('whose update does not come to its end', () => {
      const { seen } = well.controllers as { seen: Pod[] };
      const crashing = pod('lpm-controller-manager-3', 'k8s-master', waiting('CrashLoopBackOff', '', 2));
      const finding = find({ controllers: { seen: [...seen, crashing] } }, 'controller');
      assert.equal(finding.status, 'warn');
      assert.match(
        finding.message,
        /^An update of the controller does not come to its end\. .*ends again and again/,
      );
    });

    test('that nobody leads', () => {
      fails(find({ lease: { seen: undefined } }, 'leader'), /No replica of the controller leads/);
      const lease = structuredClone((well.lease as { seen: { spec: { renewTime: string } } }).seen);
      lease.spec.renewTime = new Date(NOW - 300_000).toISOString();
      fails(
        find({ lease: { seen: lease as never } }, 'leader'),
        /has not renewed its Lease lpm-controller for 5m/,
      );
    });

    test('of another version than this program', () => {
      const finding = find({ plugin: { version: '0.2.0' } }, 'controller-version');
      assert.equal(finding.status, 'warn');
      assert.match(finding.message, /has version 0\.1\.0, this plugin 0\.2\.0/);
    });
  });

  describe('an agent', () => {
    test('that is missing', () => {
      fails(
        find({ agents: { seen: [pod('agent-k8s-master', 'k8s-master')] } }, 'agent', 'k8s-worker'),
        /no agent on k8s-worker/,
      );
      fails(find({ daemonSet: { seen: undefined } }, 'agent'), /no DaemonSet .*, so no node has an agent/);
    });

    for (const reason of ['ErrImageNeverPull', 'ImagePullBackOff']) {
      test(`whose image is not on the node (${reason}), with the way to bring it there`, () => {
        const finding = agentIs(waiting(reason));
        fails(finding, /The image localhost\/checkpoint-agent:latest is not on node k8s-worker/);
        assert.deepEqual(finding.commands, [
          'npm run images # makes the archives',
          'ctr -n k8s.io images import dist/images/checkpoint-agent.tar # on the node',
        ]);
      });
    }

    test('whose image is not on a node with CRI-O', () => {
      const crio = node('k8s-worker') as Node & { status: { nodeInfo: { containerRuntimeVersion: string } } };
      crio.status.nodeInfo.containerRuntimeVersion = 'cri-o://1.36.3';
      const finding = agentIs(waiting('ErrImageNeverPull'), { nodes: { seen: [crio] } });
      assert.match(
        finding.commands[1]!,
        /^skopeo copy oci-archive:\S+ containers-storage:localhost\/checkpoint-agent:latest/,
      );
    });

    test('that ends again and again, with what it said last', () => {
      const finding = agentIs(waiting('CrashLoopBackOff', 'back-off', 4), {
        logs: new Map([
          [`uid-${AGENT}`, ['{"message":"There is no container runtime at /run/crio/crio.sock."}']],
        ]),
      });
      fails(
        finding,
        /restarted 4 times\). It said last: There is no container runtime at/,
        /logs .*agent-k8s-worker --previous/,
      );
    });

    test('whose port is taken', () => {
      const conditions = [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'Unschedulable',
          message: "1 node(s) didn't have free ports for the requested pod ports.",
        },
      ];
      fails(agentIs({ phase: 'Pending', conditions }), /finds port 50051 taken/, /ss -ltnp/);
    });

    const warning = (reason: string, message: string): Partial<Observed> => ({
      events: {
        seen: [
          {
            metadata: { name: 'e' },
            type: 'Warning',
            reason,
            message,
            involvedObject: { uid: `uid-${AGENT}` },
          } as CoreEvent,
        ],
      },
    });

    test('that the pod network does not take, with the guide’s way out', () => {
      const said =
        'plugin type="flannel" failed (add): failed to set bridge addr: "cni0" already has an IP address';
      const finding = agentIs(waiting('ContainerCreating'), warning('FailedCreatePodSandBox', said));
      fails(finding, /The pod network of node k8s-worker does not take/, /ip link delete cni0/);
    });

    test('that waits for a volume', () => {
      const finding = agentIs(
        waiting('ContainerCreating'),
        warning('FailedMount', 'hostPath type check failed: /etc/lpm/tls is not a directory'),
      );
      fails(finding, /does not start \(FailedMount\): hostPath type check failed/);
    });

    test('of another version than the controller', () => {
      const metrics = new Map(well.metrics).set(`uid-${AGENT}`, {
        seen: { version: '0.0.9', values: new Map() },
      });
      fails(
        find({ metrics }, 'agent', 'k8s-worker'),
        /has version 0\.0\.9, the controller 0\.1\.0/,
        /delete pod/,
      );
    });

    test('whose version may not be asked: unknown, not ok', () => {
      const metrics = new Map(well.metrics).set(`uid-${AGENT}`, {
        hidden: 'You may not create pods/portforward.',
      });
      const finding = find({ metrics }, 'agent', 'k8s-worker');
      assert.equal(finding.status, 'unknown');
      assert.match(finding.message, /You may not create pods\/portforward/);
    });

    test('on a node that is not ready: the node is named', () => {
      const gone = node('k8s-worker');
      gone.status!.conditions = [
        { type: 'Ready', status: 'Unknown', message: 'Kubelet stopped posting node status.' },
      ];
      fails(
        find({ nodes: { seen: [gone] } }, 'agent', 'k8s-worker'),
        /node is not ready: Kubelet stopped posting node status\.$/,
      );
    });
  });

  describe('a node', () => {
    const withNode = (alter: (one: Node) => void): Partial<Observed> => {
      const one = node('k8s-worker');
      alter(one);
      return { nodes: { seen: [one] } };
    };

    test('without the handler', () => {
      const bare = withNode((one) => {
        delete one.metadata.labels!['lpm.my.domain/ready'];
        one.status!.runtimeHandlers = [{ name: '' }];
      });
      fails(find(bare, 'node-setup'), /containerd:\/\/2\.1\.9 does not offer the handler lpm/);
    });

    test('that says why it is not set up', () => {
      const unready = withNode((one) => {
        one.metadata.labels!['lpm.my.domain/ready'] = 'false';
        one.metadata.annotations = { 'lpm.my.domain/problem': 'CRIU is not installed on this node.' };
      });
      fails(find(unready, 'node-setup'), /^The node is not set up: CRIU is not installed on this node\.$/);
    });

    test('whose runtime must be started again before it has the handler', () => {
      const set = withNode((one) => (one.status!.runtimeHandlers = [{ name: 'runc' }]));
      fails(find(set, 'node-setup'), /must be started again/, /systemctl restart containerd/);
    });

    test('of which nobody says whether it has it: unknown, not ok', () => {
      const silent = withNode((one) => {
        delete one.metadata.labels!['lpm.my.domain/ready'];
        delete one.status!.runtimeHandlers;
      });
      assert.equal(find(silent, 'node-setup').status, 'unknown');
    });

    test('whose kubelet has no checkpoint API: a warning, for only --via kubelet needs it', () => {
      const off = new Map([['k8s-worker', { seen: { code: 404, text: '404 page not found\n' } }]]);
      const finding = find({ ...withNode(() => {}), kubelets: off }, 'kubelet-checkpoint');
      assert.equal(finding.status, 'warn');
      assert.match(finding.commands.join(), /ContainerCheckpoint: true/);
    });

    test('whose clock is wrong', () => {
      const nodeLeases = {
        seen: new Map([
          [
            'k8s-worker',
            { metadata: { name: 'k8s-worker' }, spec: { renewTime: new Date(NOW + 60_000).toISOString() } },
          ],
        ]),
      } as Observed['nodeLeases'];
      const finding = find({ ...withNode(() => {}), nodeLeases }, 'clock');
      assert.equal(finding.status, 'warn');
      assert.match(finding.message, /60 s ahead of the API server's/);
    });
  });

  test('certificates that nobody has, that have expired, and that nobody signs', () => {
    fails(find({ authority: { seen: undefined } }, 'certificates'), /have no certificates/);
    fails(find({ now: NOW + 3653 * DAY_MS }, 'certificates'), /The authority .* expired (2d23h|3d) ago/);
    const unsigned = structuredClone(well.authority) as { seen: { data: Record<string, string> } };
    unsigned.seen.data['signers'] = '';
    fails(find({ authority: unsigned as never }, 'certificates'), /No replica of the controller signs/);
  });

  test('an agent that has no certificate, or could not renew it', () => {
    const ends = (at: number) => ({
      metrics: new Map(well.metrics).set(`uid-${AGENT}`, {
        seen: { version: '0.1.0', values: new Map([['lpm_agent_certificate_expiry_seconds', at]]) },
      }),
    });
    fails(
      find(ends(NaN), 'agent-certificate', 'k8s-worker'),
      /has no certificate/,
      /logs .*agent-k8s-worker/,
    );
    fails(find(ends(NOW / 1000 - 3600), 'agent-certificate', 'k8s-worker'), /expired 60m ago/);
    assert.equal(find(ends(NOW / 1000 + 3600), 'agent-certificate', 'k8s-worker').status, 'ok');
  });

  test('a certificate that was given and soon expires', async () => {
    const { cert: pem } = await issueCertificate(await createCa('theirs'), {
      commonName: 'lpm-controller',
      usages: ['client'],
      days: 2,
    });
    const cert = Buffer.from(pem).toString('base64');
    const given = { seen: { metadata: { name: 'lpm-controller-tls' }, data: { 'tls.crt': cert } } };
    const finding = find({ authority: { seen: undefined }, given }, 'certificates');
    assert.equal(finding.status, 'warn');
    assert.match(finding.message, /expires in (47h|2d)/);
    const hidden = find(
      { authority: { seen: undefined }, given: { hidden: 'You may not get secrets.' } },
      'certificates',
    );
    assert.equal(hidden.status, 'unknown');
  });

  test('a checkpoint repository that the agents wait for, and why', () => {
    const daemonSet = structuredClone(well.daemonSet) as {
      seen: {
        spec: {
          template: {
            spec: { volumes: { name: string; hostPath?: unknown; persistentVolumeClaim?: unknown }[] };
          };
        };
      };
    };
    const volume = daemonSet.seen.spec.template.spec.volumes.find(({ name }) => name === 'checkpoint-repo')!;
    delete volume.hostPath;
    volume.persistentVolumeClaim = { claimName: 'checkpoint-repo' };
    const claimed = { daemonSet: daemonSet as never };
    fails(
      find({ ...claimed, claim: { seen: undefined } }, 'checkpoint-repository'),
      /wants? the claim checkpoint-repo, and there is none/,
    );
    const claim = {
      seen: {
        metadata: { name: 'checkpoint-repo', uid: 'c' },
        spec: { storageClassName: 'nfs-client' },
        status: { phase: 'Pending' },
      },
    };
    fails(
      find({ ...claimed, claim }, 'checkpoint-repository'),
      /is Pending, so the agents wait for it \(storage class nfs-client\)/,
    );
    const provisioners = { seen: [pod('nfs', 'k8s-master', waiting('CrashLoopBackOff'))] };
    fails(
      find({ ...claimed, claim, provisioners }, 'checkpoint-repository'),
      /the NFS provisioner is not ready/,
      /app=nfs-subdir-external-provisioner/,
    );
    const once = {
      seen: { metadata: claim.seen.metadata, status: { phase: 'Bound', accessModes: ['ReadWriteOnce'] } },
    };
    fails(find({ ...claimed, claim: once }, 'checkpoint-repository'), /not ReadWriteMany/);
  });

  test('rights that the person lacks, by verb and resource', () => {
    const user = structuredClone(well.user) as Observed['user'] & {
      answers: { seen: { verb: string; resource: string; allowed: boolean }[] };
    };
    for (const answer of user.answers.seen) {
      if (answer.resource.startsWith('podmigrations') && answer.verb !== 'get') answer.allowed = false;
      if (answer.resource === 'pods/portforward') answer.allowed = false;
    }
    fails(
      find({ user }, 'rights-migrate'),
      /^You may not create, list, watch podmigrations\.lpm\.my\.domain in namespace shop, which moving a pod needs\.$/,
      /create rolebinding lpm-edit -n shop --clusterrole=edit --user=bob/,
    );
    const lesser = find({ user }, 'rights-checkpoint');
    assert.equal(lesser.status, 'warn');
    assert.match(
      lesser.message,
      /You may not create pods\/portforward in namespace live-pod-\S+ \(for checkpoint describe, export and import\)/,
    );
  });

  const migration = (status: object): PodMigration =>
    ({
      metadata: {
        name: 'counter-x1',
        namespace: 'shop',
        creationTimestamp: new Date(NOW - 60_000).toISOString(),
      },
      spec: { podName: 'counter', targetNode: 'k8s-worker' },
      status,
    }) as PodMigration;

  test('a migration that is stuck, with the commands that decide it', () => {
    const conditions = [
      {
        type: 'Stuck',
        status: 'True',
        reason: 'TargetUnreachable',
        message: 'The node k8s-master does not answer.',
        lastTransitionTime: new Date(NOW).toISOString(),
      },
    ];
    const stuck = migration({
      phase: 'RestoreInProgress',
      message: 'The node k8s-master does not answer.',
      conditions,
    });
    fails(
      find({ migrations: { seen: [stuck] } }, 'migrations'),
      /shop\/counter-x1 is stuck, its pod frozen: The node k8s-master does not answer\./,
      /migrate \w+ counter-x1 -n shop/,
    );
  });

  test('a migration that should have ended long ago', () => {
    const late = migration({
      phase: 'CheckpointInProgress',
      startTime: new Date(NOW - 3_600_000).toISOString(),
    });
    fails(find({ migrations: { seen: [late] } }, 'migrations'), /should have ended long ago/);
    const running = migration({
      phase: 'CheckpointInProgress',
      startTime: new Date(NOW - 5_000).toISOString(),
    });
    assert.equal(find({ migrations: { seen: [running] } }, 'migrations').message, '1 under way');
  });

  test('pods that are frozen although nobody works on them', () => {
    const event = {
      metadata: { name: 'e' },
      involvedObject: { kind: 'Pod', namespace: 'shop', name: 'counter', uid: 'u' },
      message: 'The pod stays frozen: its migration counter-x1 is gone.',
      lastTimestamp: new Date(NOW - 60_000).toISOString(),
    } as CoreEvent;
    fails(
      find({ frozen: { seen: [event] } }, 'frozen'),
      /The pod shop\/counter stands still: The pod stays frozen/,
      /delete pod -n shop counter/,
    );
    const old = { ...event, lastTimestamp: new Date(NOW - 3_600_000).toISOString() };
    assert.equal(find({ frozen: { seen: [old] } }, 'frozen').status, 'ok');
  });

  test('frozen containers on a node that no migration has to do with', () => {
    const metrics = new Map(well.metrics).set(`uid-${AGENT}`, {
      seen: { version: '0.1.0', values: new Map([['lpm_agent_frozen_containers', 2]]) },
    });
    const finding = find({ metrics }, 'frozen', 'k8s-worker');
    assert.equal(finding.status, 'warn');
    assert.match(finding.message, /^2 containers are frozen/);
    const moving = migration({
      phase: 'CheckpointInProgress',
      sourceNode: 'k8s-master',
      startTime: new Date(NOW).toISOString(),
    });
    assert.equal(find({ metrics, migrations: { seen: [moving] } }, 'frozen').status, 'ok');
  });

  test('nothing of a check that may not be made: each says unknown', () => {
    const hidden = { hidden: 'You may not look.' };
    const blind: Observed = {
      ...well,
      crds: { ...well.crds, installed: hidden },
      systemNamespace: hidden,
      runtimeClass: hidden,
      deployment: hidden,
      daemonSet: hidden,
      lease: hidden,
      controllers: hidden,
      agents: hidden,
      events: hidden,
      nodes: hidden,
      nodeLeases: hidden,
      agentMayCheckpoint: hidden,
      authority: hidden,
      given: hidden,
      claim: hidden,
      provisioners: hidden,
      user: { namespace: 'shop', answers: hidden },
      migrations: hidden,
      frozen: hidden,
    };
    const others = findings(blind).filter(({ status }) => status !== 'unknown');
    assert.deepEqual(
      others.map(({ check, status }) => `${check} ${status}`),
      ['api-server ok'],
    );
  });
});

test('what a program says at /metrics is read', () => {
  const { version, values } = parseMetrics(
    '# HELP lpm_agent_frozen_containers Containers.\nlpm_agent_frozen_containers 2\nlpm_agent_build_info{version="0.1.0"} 1\nlpm_agent_repository_free_bytes NaN\n',
  );
  assert.equal(version, '0.1.0');
  assert.equal(values.get('lpm_agent_frozen_containers'), 2);
  assert.ok(Number.isNaN(values.get('lpm_agent_repository_free_bytes')));
});
