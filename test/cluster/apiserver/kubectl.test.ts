import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { startTestApiServer, type TestApiServer } from './testing.js';
import {
  kubectls,
  podNamed,
  pods,
  readyNode,
  runKubectl,
  startKubectl,
  TestClient,
} from './testing-client.js';

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'], categories: ['things'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['owner'],
                'x-kubernetes-validations': [
                  { rule: 'self.owner == oldSelf.owner', message: 'owner is immutable' },
                  { rule: '!has(self.size) || self.size != 13', message: 'size 13 is bad luck' },
                ],
                properties: {
                  owner: { type: 'string', description: 'Who it belongs to.', maxLength: 20 },
                  size: { type: 'integer', minimum: 1, maximum: 100, default: 3 },
                  color: { type: 'string', enum: ['red', 'blue'] },
                },
              },
              status: {
                type: 'object',
                properties: {
                  phase: { type: 'string' },
                  conditions: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['type'],
                    items: {
                      type: 'object',
                      required: ['type', 'status'],
                      properties: { type: { type: 'string' }, status: { type: 'string' } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

const widget = (spec: object, name = 'one') =>
  JSON.stringify({ apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name }, spec });

for (const program of kubectls) {
  describe(`kubectl (${program})`, () => {
    let server: TestApiServer;
    let client: TestClient;
    const kubectl = (args: string, input?: string) => runKubectl(program, server, args.split(' '), input);
    const ok = async (args: string, input?: string) => {
      const ran = await kubectl(args, input);
      assert.equal(ran.code, 0, `kubectl ${args}: ${ran.stderr}`);
      return ran.stdout;
    };

    before(async () => {
      // Its node has no kubelet that renews a lease, and many calls of kubectl take their time.
      server = await startTestApiServer({ crds: false, controllers: { nodeGraceMs: 3_600_000 } });
      client = new TestClient(server);
      await client.post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
      await client.post('/api/v1/nodes', readyNode('node-1'));
    });
    after(async () => {
      client.close();
      await server.close();
    });

    test('reads the version, the namespaces and what resources there are', async () => {
      assert.match(await ok('version'), /Server Version: v1\.33\.0-lpm-local/);
      assert.match(await ok('get ns'), /kube-node-lease +Active/);
      const resources = await ok('api-resources');
      assert.match(resources, /pods +po +v1 +true +Pod/);
      assert.match(resources, /widgets +wd +example\.com\/v1 +true +Widget/);
      assert.match(await ok('api-versions'), /example\.com\/v1/);
    });

    test('applies a pod, applies a change, shows it in every output and deletes it', async () => {
      const pod = podNamed('applied', { metadata: { labels: { app: 'x' } } });
      assert.equal(await ok('apply -f -', JSON.stringify(pod)), 'pod/applied created\n');
      assert.equal(await ok('apply -f -', JSON.stringify(pod)), 'pod/applied unchanged\n');
      pod.metadata.labels.app = 'y';
      assert.equal(await ok('apply -f -', JSON.stringify(pod)), 'pod/applied configured\n');
      assert.equal(await ok('get pod applied -o jsonpath={.metadata.labels.app}'), 'y');
      assert.equal(await ok('get pod -l app=y -o name'), 'pod/applied\n');
      assert.match(
        await ok('get pod applied -o wide'),
        /NOMINATED NODE +READINESS GATES\napplied +0\/1 +Pending +0 /,
      );
      assert.match(await ok('get pod applied -o yaml'), /terminationGracePeriodSeconds: 30/);
      assert.equal(JSON.parse(await ok('get pods -o json')).items.length, 1);
      assert.match(await ok('get pods -o custom-columns=N:.metadata.name'), /^N\napplied\n/);
      assert.match(await ok('get pods -A --sort-by=.metadata.name'), /default +applied/);
      assert.match(await ok('get pods --field-selector spec.nodeName=node-1 -o name'), /pod\/applied/);
      assert.match(await ok('diff -f -', JSON.stringify(pod)), /^$/);
      assert.equal(await ok('replace -f -', await ok('get pod applied -o json')), 'pod/applied replaced\n');
      assert.match(await ok('delete pod applied --grace-period=0 --force'), /"applied" force deleted/);
      assert.match(
        (await kubectl('get pod applied')).stderr,
        /Error from server \(NotFound\): pods "applied" not found/,
      );
    });

    test('labels, annotates and patches in all three ways', async () => {
      await client.post(pods, podNamed('patched'));
      await ok('label pod patched a=b');
      await ok('annotate pod patched c=d');
      await ok('patch pod patched -p {"metadata":{"labels":{"s":"1"}}}');
      await ok('patch pod patched --type=merge -p {"metadata":{"labels":{"m":"1"}}}');
      await ok('patch pod patched --type=json -p [{"op":"add","path":"/metadata/labels/j","value":"1"}]');
      await ok('label pod patched a-');
      const { metadata } = JSON.parse(await ok('get pod patched -o json'));
      assert.deepEqual(metadata.labels, { s: '1', m: '1', j: '1' });
      assert.deepEqual(metadata.annotations, { c: 'd' });
      await client.delete(`${pods}/patched`, { gracePeriodSeconds: 0 });
    });

    test('applies on the server side and tells conflicts between managers', async () => {
      const configMap = (value: string) =>
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'ssa' },
          data: { key: value },
        });
      assert.equal(
        await ok('apply --server-side -f -', configMap('1')),
        'configmap/ssa serverside-applied\n',
      );
      const conflict = await kubectl('apply --server-side --field-manager=other -f -', configMap('2'));
      assert.notEqual(conflict.code, 0);
      assert.match(conflict.stderr, /conflict with "kubectl": \.data\.key/);
      await ok('apply --server-side --field-manager=other --force-conflicts -f -', configMap('2'));
      assert.equal(await ok('get cm ssa -o jsonpath={.data.key}'), '2');
      await ok('delete cm ssa');
    });

    test('describes pods with their events, nodes and custom resources', async () => {
      await client.post(pods, podNamed('described'));
      assert.match(await ok('describe pod described'), /Successfully assigned default\/described to node-1/);
      assert.match(await ok('describe node node-1'), /Non-terminated Pods: +\(1 in total\)/);
      await ok('apply -f -', widget({ owner: 'me' }, 'described'));
      assert.match(await ok('describe widget described'), /Owner: +me/);
      assert.match(await ok('get events'), /Normal +Scheduled +pod\/described/);
      assert.match(await ok('events --for pod/described'), /Scheduled/);
      await client.delete(`${pods}/described`, { gracePeriodSeconds: 0 });
      await ok('delete widget described');
    });

    test('explains custom and built-in kinds', async () => {
      assert.match(await ok('explain widget.spec.owner'), /Who it belongs to\./);
      assert.match(await ok('explain pod.spec.containers'), /imagePullPolicy/);
    });

    test('shows what is wrong with a custom resource', async () => {
      const unknown = await kubectl('apply -f -', widget({ owner: 'me', colour: 'red' }));
      assert.match(unknown.stderr, /strict decoding error: unknown field "spec\.colour"/);
      const wrong = await kubectl('apply -f -', widget({ size: 0, color: 'green' }));
      assert.match(wrong.stderr, /The Widget "one" is invalid/);
      assert.match(wrong.stderr, /\* spec\.owner: Required value/);
      assert.match(
        wrong.stderr,
        /\* spec\.size: Invalid value: 0: spec\.size in body should be greater than or equal to 1/,
      );
      assert.match(
        wrong.stderr,
        /\* spec\.color: Unsupported value: "green": supported values: "red", "blue"/,
      );
      const unlucky = await kubectl('apply -f -', widget({ owner: 'me', size: 13 }));
      assert.match(unlucky.stderr, /spec: Invalid value: "object": size 13 is bad luck/);
      const warned = await kubectl(
        'apply --validate=warn -f -',
        widget({ owner: 'me', colour: 'red' }, 'warned'),
      );
      assert.equal(warned.code, 0);
      assert.match(warned.stderr, /Warning: unknown field "spec\.colour"/);
      await ok('delete widget warned');
    });

    test('applies, lists and deletes a custom resource whose owner may not change', async () => {
      assert.equal(await ok('apply -f -', widget({ owner: 'me' })), 'widget.example.com/one created\n');
      assert.equal(await ok('apply -f -', widget({ owner: 'me' })), 'widget.example.com/one unchanged\n');
      const changed = await kubectl('apply -f -', widget({ owner: 'you' }));
      assert.match(changed.stderr, /spec: Invalid value: "object": owner is immutable/);
      await ok(
        'patch wd one --subresource=status --type=merge -p {"status":{"conditions":[{"type":"Ready","status":"True"}]}}',
      );
      assert.match(await ok('get things'), /NAME +SIZE +READY +AGE\n(widget\.example\.com\/)?one +3 +True /);
      assert.equal(await ok('get wd one -o jsonpath={.metadata.generation}'), '1');
      await ok('delete wd one');
    });

    test('waits for a condition, for a value and for the end', async () => {
      await ok('apply -f -', widget({ owner: 'me' }, 'waited'));
      const status = '/apis/example.com/v1/namespaces/default/widgets/waited/status';
      const condition = kubectl('wait --for=condition=Ready widget/waited --timeout=20s');
      const value = kubectl('wait --for=jsonpath={.status.phase}=Done widget/waited --timeout=20s');
      await client.patch(status, 'merge', {
        status: { phase: 'Done', conditions: [{ type: 'Ready', status: 'True' }] },
      });
      assert.match((await condition).stdout, /condition met/);
      assert.match((await value).stdout, /condition met/);
      await client.patch(status.replace('/status', ''), 'merge', {
        metadata: { finalizers: ['example.com/hold'] },
      });
      const gone = kubectl('delete widget waited --timeout=20s');
      const waited = kubectl('wait --for=delete widget/waited --timeout=20s');
      const stream = await client.watch(
        '/apis/example.com/v1/widgets?watch=1&fieldSelector=metadata.name=waited',
      );
      let event = await stream.next();
      while (event.object.metadata.deletionTimestamp === undefined) event = await stream.next();
      stream.close();
      await client.patch(status.replace('/status', ''), 'merge', { metadata: { finalizers: null } });
      assert.equal((await gone).code, 0);
      assert.equal((await waited).code, 0);
    });

    test('watches with get -w and prints a row for each change', async () => {
      await ok('apply -f -', widget({ owner: 'me' }, 'watched'));
      const child = startKubectl(program, server, ['get', 'widgets', '-w']);
      const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
      const line = async () => (await lines.next()).value as string;
      assert.match(await line(), /^NAME +SIZE/);
      assert.match(await line(), /^watched +3/);
      await ok('patch widget watched --type=merge -p {"spec":{"size":5}}');
      assert.match(await line(), /^watched +5/);
      await ok('delete widget watched');
      assert.match(await line(), /^watched +5/);
      child.kill();
      await once(child, 'close');
    });

    test('creates the kinds that its subcommands send as protobuf', async () => {
      assert.equal(await ok('create configmap pb --from-literal=a=b'), 'configmap/pb created\n');
      assert.equal(await ok('get cm pb -o jsonpath={.data.a}'), 'b');
      assert.equal(await ok('create secret generic pb --from-literal=a=b'), 'secret/pb created\n');
      assert.equal(await ok('get secret pb -o jsonpath={.data.a}'), 'Yg==');
      await ok('create namespace pb');
      await ok('create serviceaccount pb');
      assert.match(await ok('create token pb'), /^ey.+\..+\..+/);
      await ok('create deployment pb --image=a/b:1 --replicas=2');
      assert.match(await ok('get deploy pb -o wide'), /pb +0\/2 +0 +0 +\S+ +b +a\/b:1 +app=pb/);
      assert.equal(await ok('auth can-i create pods'), 'yes\n');
      assert.match(await ok('auth whoami'), /kubernetes-admin/);
      await ok('delete cm/pb secret/pb ns/pb sa/pb deploy/pb');
    });

    test('runs, exposes, scales, cordons and creates in dry runs', async () => {
      assert.match(await ok('run dry --image=busybox --dry-run=server -o name'), /pod\/dry/);
      assert.notEqual((await kubectl('get pod dry')).code, 0);
      await ok('run wet --image=busybox --port=80');
      await ok('expose pod wet --port=80');
      assert.match(await ok('get svc wet'), /wet +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP/);
      await ok('cordon node-1');
      assert.match(await ok('get nodes'), /node-1 +Ready,SchedulingDisabled/);
      await ok('uncordon node-1');
      await ok('taint node node-1 a=b:NoSchedule');
      await ok('taint node node-1 a=b:NoSchedule-');
      assert.match(await ok('delete pod/wet svc/wet --grace-period=0 --force'), /deleted/);
      assert.match(await ok('get all'), /service\/kubernetes/);
    });

    test('deletes a namespace with everything in it', async () => {
      await ok('create namespace doomed');
      await ok('create configmap inside -n doomed');
      await ok('delete namespace doomed --timeout=20s');
      assert.match((await kubectl('get cm inside -n doomed')).stderr, /NotFound/);
      const late = await kubectl('create configmap late -n doomed');
      assert.match(late.stderr, /namespaces "doomed" not found/);
    });
  });
}
