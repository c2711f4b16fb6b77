/** What the ServiceAccounts of the manifests may do: as much as the programs ask for, and nothing more. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';
import { installYaml } from '../../manifests/install.mjs';
import { repository } from '../cluster/paths.js';
import { must, run } from '../cluster/run.js';
import { skippedWithoutAssets, startRealApiServer } from './real-api-server.js';
import { usedRights } from './used-rights.js';

interface Rule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}
interface Role extends KubeObject {
  rules: Rule[];
}

const accounts = { controller: 'lpm-controller-manager', agent: 'lpm-checkpoint-agent' };

const roles = async (name: string): Promise<Role[]> =>
  parseAllDocuments(await installYaml())
    .map((document) => document.toJS() as Role)
    .filter(({ kind, metadata }) => /^(Cluster)?Role$/.test(kind ?? '') && metadata.name === name);

/** "group/resource verb" of every rule. */
const granted = (list: Role[]): string[] =>
  list
    .flatMap(({ rules }) => rules)
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`)),
      ),
    )
    .sort();

/** "resource name verb" of every rule. */
const named = (rules: Rule[]): string[] =>
  rules.flatMap(({ resources, resourceNames = [], verbs }) =>
    verbs.map((verb) => [...resources, ...resourceNames, verb].join(' ')),
  );

test('the controller is granted every verb that its code uses, and no other', async () => {
  const used = usedRights();
  const given = granted(await roles(accounts.controller));
  const missing = [...used].filter(([right]) => !given.includes(right));
  assert.deepEqual(missing, [], 'used in the code, and not granted in manifests/controller/role.yaml');
  assert.deepEqual(
    given.filter((right) => !used.has(right)),
    [],
    'granted in manifests/controller/role.yaml, and used nowhere in the code',
  );
});

test('in the namespace of the programs the controller is granted its Lease and the Secret of its authority', async () => {
  const [role] = (await roles(accounts.controller)).filter(({ kind }) => kind === 'Role');
  assert.equal(role?.metadata.namespace, SYSTEM_NAMESPACE);
  assert.deepEqual(named(role.rules), [
    'leases lpm-controller get',
    'leases lpm-controller update',
    'leases create',
    'secrets lpm-ca get',
    'secrets lpm-ca update',
  ]);
});

test('an agent is granted a checkpoint by its kubelet, to read whom it may believe, and nothing else', async () => {
  const [everywhere, here] = await roles(accounts.agent);
  assert.deepEqual(granted([everywhere!]), ['/nodes/checkpoint create']);
  assert.equal(here?.metadata.namespace, SYSTEM_NAMESPACE);
  assert.deepEqual(named(here.rules), ['configmaps lpm-ca-bundle get']);
});

test('nothing is granted by a wildcard', async () => {
  for (const { rules = [] } of parseAllDocuments(await installYaml()).map(
    (document) => document.toJS() as Role,
  )) {
    for (const rule of rules) assert.ok(![...rule.apiGroups, ...rule.resources, ...rule.verbs].includes('*'));
  }
});

interface Resource {
  name: string;
  namespaced: boolean;
  verbs: string[];
}

/** Every resource and subresource that the server knows. */
async function everything(kube: KubeClient): Promise<{ group: string; resource: Resource }[]> {
  const groups = await kube.json<{ groups: { preferredVersion: { groupVersion: string } }[] }>(
    'GET',
    '/apis',
  );
  const versions = ['v1', ...groups.groups.map(({ preferredVersion }) => preferredVersion.groupVersion)];
  const lists = await Promise.all(
    versions.map(async (version) => {
      const path = version === 'v1' ? '/api/v1' : `/apis/${version}`;
      const { resources } = await kube.json<{ resources: Resource[] }>('GET', path);
      const group = version === 'v1' ? '' : version.split('/')[0]!;
      return resources.map((resource) => ({ group, resource }));
    }),
  );
  return lists.flat();
}

const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];

describe('a real API server, asked with the accounts’ own tokens', { skip: skippedWithoutAssets }, () => {
  test('allows what the manifests grant and refuses everything else', async () => {
    const server = await startRealApiServer();
    try {
      const { kube, kubeconfig } = server;
      const admin = (...args: string[]): Promise<string> =>
        must('kubectl', args, { env: { ...process.env, KUBECONFIG: kubeconfig } });
      await admin('apply', '-k', join(repository, 'manifests'));
      await admin('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
      const all = await everything(kube);

      for (const account of Object.values(accounts)) {
        const token = (await admin('create', 'token', account, '-n', SYSTEM_NAMESPACE)).trim();
        const as = ['--server', server.url, '--certificate-authority', server.ca, '--token', token];
        const own = (...args: string[]) =>
          run('kubectl', [...as, ...args], { env: { ...process.env, KUBECONFIG: '/dev/null' } });
        const user = `system:serviceaccount:${SYSTEM_NAMESPACE}:${account}`;
        const who = JSON.parse((await own('auth', 'whoami', '-o', 'json')).stdout) as {
          status: { userInfo: { username: string; groups: string[] } };
        };
        assert.equal(who.status.userInfo.username, user);

        const expected = await roles(account);
        const mayBe = (group: string, name: string, verb: string, namespace: string): boolean =>
          expected
            .filter(({ kind, metadata }) => kind === 'ClusterRole' || metadata.namespace === namespace)
            .flatMap(({ rules }) => rules)
            .some(
              (rule) =>
                rule.apiGroups.includes(group) &&
                rule.resources.includes(name) &&
                rule.verbs.includes(verb) &&
                !rule.resourceNames,
            ) ||
          // What every authenticated user may ask about himself (ClusterRole system:basic-user).
          (verb === 'create' && /^self|^selfsubject/.test(name));
        const wrong: string[] = [];
        let asked = 0;
        const ask = async (
          group: string,
          resource: Resource,
          verb: string,
          namespace: string,
        ): Promise<void> => {
          const [name = '', subresource] = resource.name.split('/');
          const { status } = await kube.json<{ status: { allowed: boolean } }>(
            'POST',
            '/apis/authorization.k8s.io/v1/subjectaccessreviews',
            {
              body: {
                apiVersion: 'authorization.k8s.io/v1',
                kind: 'SubjectAccessReview',
                spec: {
                  user,
                  groups: who.status.userInfo.groups,
                  resourceAttributes: { group, resource: name, subresource, verb, namespace },
                },
              },
            },
          );
          asked += 1;
          if (status.allowed !== mayBe(group, resource.name, verb, namespace)) {
            wrong.push(
              `${verb} ${group}/${resource.name} in "${namespace}": ${status.allowed ? 'allowed' : 'refused'}`,
            );
          }
        };
        for (const { group, resource } of all) {
          const places = resource.namespaced ? [SYSTEM_NAMESPACE, 'default', ''] : [''];
          await Promise.all(
            places.flatMap((place) => verbs.map((verb) => ask(group, resource, verb, place))),
          );
        }
        // The kubelet's, which no API server lists.
        const kubelet = (name: string): Resource => ({ name: `nodes/${name}`, namespaced: false, verbs: [] });
        for (const name of ['checkpoint', 'proxy', 'stats', 'log', 'metrics', 'exec']) {
          for (const verb of verbs) await ask('', kubelet(name), verb, '');
        }
        assert.ok(asked > 500, `${asked} questions`);
        assert.deepEqual(wrong, [], account);

        // Not only by the server's own word: the requests themselves.
        for (const args of [
          ['get', 'secrets', '-A'],
          ['get', 'clusterroles'],
          ['create', 'token', 'default', '-n', 'default'],
          ['delete', 'namespace', 'default'],
          ['get', 'lease', 'another', '-n', SYSTEM_NAMESPACE],
        ]) {
          const { code, stderr } = await own(...args);
          assert.notEqual(code, 0, args.join(' '));
          assert.match(stderr, /forbidden/i, args.join(' '));
        }
        // Of what is granted by name, that name and no other.
        await admin('create', 'configmap', 'lpm-ca-bundle', '-n', SYSTEM_NAMESPACE);
        const controls = account === accounts.controller;
        for (const [what, may] of [
          ['secret/lpm-ca', controls],
          ['secret/lpm-controller-tls', false],
          ['configmap/lpm-ca-bundle', true],
          ['configmap/kube-root-ca.crt', controls],
        ] as const) {
          const { code, stderr } = await own('get', what, '-n', SYSTEM_NAMESPACE, '--ignore-not-found');
          if (may) assert.equal(code, 0, stderr);
          else assert.match(stderr, /forbidden/i, `${account} ${what}`);
        }
        await admin('delete', 'configmap', 'lpm-ca-bundle', '-n', SYSTEM_NAMESPACE);
        const pods = await own('get', 'pods', '-A');
        if (account === accounts.controller) assert.equal(pods.code, 0, pods.stderr);
        else assert.match(pods.stderr, /forbidden/i);
      }
    } finally {
      await server.close();
    }
  });
});
