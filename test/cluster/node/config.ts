import { pauseImage } from '../images/images.js';

/** Everything that a node's files depend on; the functions here are pure. */
export interface NodeConfig {
  name: string;
  podCidr: string;
  /** Names of /etc/hosts by address. */
  hosts: Readonly<Record<string, string>>;
  /** True where root lacks CAP_SYS_RESOURCE: negative OOM scores are refused there. */
  restrictOomScore: boolean;
  /** The runtime handler is registered, as on a node that was set up by hand. */
  handler: boolean;
}

/**
 * containerd 2.1 with the CRI plugin: runc by default, and the handler `lpm` that gives the node agent its say.
 * The annotations of a pod that concern a migration reach the handler through the bundle's config.json.
 */
export function containerdConfig(config: NodeConfig): string {
  return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "${pauseImage}"

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = ${config.restrictOomScore}
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  enable_selinux = false
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        SystemdCgroup = false
${config.handler ? handlerRegistration : ''}  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "/etc/cni/net.d"
`;
}

const handlerRegistration = `    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.lpm]
      runtime_type = "io.containerd.runc.v2"
      pod_annotations = ["lpm.my.domain/*"]
      container_annotations = ["lpm.my.domain/*"]
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.lpm.options]
        BinaryName = "/opt/lpm/bin/lpm-runtime"
        SystemdCgroup = false
`;

/** Pods hang on a bridge; their network is routed between the nodes, never masqueraded. */
export function cniConfig(config: NodeConfig): string {
  return JSON.stringify(
    {
      cniVersion: '1.0.0',
      name: 'lpm',
      plugins: [
        {
          type: 'bridge',
          bridge: 'cni0',
          isGateway: true,
          ipMasq: false,
          hairpinMode: true,
          ipam: {
            type: 'host-local',
            ranges: [[{ subnet: config.podCidr }]],
            routes: [{ dst: '0.0.0.0/0' }],
            dataDir: '/var/lib/cni/networks',
          },
        },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    },
    null,
    2,
  );
}

export function hostsFile(config: NodeConfig): string {
  return [
    '127.0.0.1 localhost',
    ...Object.entries(config.hosts).map(([name, ip]) => `${ip} ${name}`),
    '',
  ].join('\n');
}

/** A service of init.sh: an executable that becomes the daemon. */
export function serviceScript(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): string {
  const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}\n`);
  return `#!/bin/sh\n${exports.join('')}exec ${command.map(quote).join(' ')}\n`;
}
