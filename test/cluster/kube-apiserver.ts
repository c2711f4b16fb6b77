/**
 * A real kube-apiserver with etcd in place of the small one: KUBEBUILDER_ASSETS names the folder of both programs, as
 * envtest of controller-runtime has it. Here is where they are found and how they are called.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { apiPort, gateway, serviceCidr, type Layout } from './layout.js';

const programs = ['etcd', 'kube-apiserver'];

/**
 * The folder that the environment names; undefined for none.
 *
 * @throws one sentence when a program is missing there.
 */
export function assetsFolder(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const given = env.KUBEBUILDER_ASSETS;
  if (!given) return undefined;
  const missing = programs.filter((name) => !existsSync(join(given, name)));
  if (missing.length > 0) {
    throw new Error(
      `KUBEBUILDER_ASSETS is ${given}, where there is no ${missing.join(' and no ')}. ` +
        'Unset it for the small API server.',
    );
  }
  return resolve(given);
}

const etcdClients = 'http://127.0.0.1:2379';
const etcdPeers = 'http://127.0.0.1:2380';

/** In the cluster's own network namespace nobody else uses these ports, and no pod reaches them. */
export const etcdCommand = (assets: string, layout: Layout): string[] => [
  join(assets, 'etcd'),
  `--data-dir=${layout.etcd}`,
  `--listen-client-urls=${etcdClients}`,
  `--advertise-client-urls=${etcdClients}`,
  `--listen-peer-urls=${etcdPeers}`,
  `--initial-advertise-peer-urls=${etcdPeers}`,
  `--initial-cluster=default=${etcdPeers}`,
  // What must outlive a crash of the machine is not in a cluster for tests.
  '--unsafe-no-fsync',
];

export function apiServerCommand(assets: string, { pki }: Layout): string[] {
  const pem = (name: string): string => join(pki, name);
  return [
    join(assets, 'kube-apiserver'),
    `--etcd-servers=${etcdClients}`,
    `--advertise-address=${gateway}`,
    '--bind-address=0.0.0.0',
    `--secure-port=${apiPort}`,
    `--service-cluster-ip-range=${serviceCidr}`,
    `--client-ca-file=${pem('ca.crt')}`,
    `--tls-cert-file=${pem('apiserver.crt')}`,
    `--tls-private-key-file=${pem('apiserver.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${pem('service-account.crt')}`,
    `--service-account-signing-key-file=${pem('service-account.key')}`,
    `--kubelet-client-certificate=${pem('apiserver-kubelet-client.crt')}`,
    `--kubelet-client-key=${pem('apiserver-kubelet-client.key')}`,
    `--kubelet-certificate-authority=${pem('ca.crt')}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    // Its finalizers on volumes and claims would wait for controllers that are not imitated.
    '--disable-admission-plugins=StorageObjectInUseProtection',
    '--profiling=false',
  ];
}
