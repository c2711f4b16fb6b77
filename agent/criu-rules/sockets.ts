import type { CriuRule } from './rule.js';

/** Protocols by number (https://www.iana.org/assignments/protocol-numbers and linux/in.h). */
const PROTOCOLS: Record<string, string> = {
  1: 'ICMP (ping)',
  2: 'IGMP',
  33: 'DCCP',
  58: 'ICMPv6 (ping)',
  132: 'SCTP',
  256: 'SMC',
  262: 'Multipath TCP',
};

/** Address families by number (linux/socket.h). */
const FAMILIES: Record<string, string> = {
  15: 'AF_KEY (IPsec keys)',
  21: 'AF_RDS',
  29: 'AF_CAN (CAN bus)',
  30: 'AF_TIPC',
  31: 'AF_BLUETOOTH',
  38: 'AF_ALG (kernel cryptography)',
  40: 'AF_VSOCK (virtual machine sockets)',
  43: 'AF_SMC',
  44: 'AF_XDP',
};

/** Sockets and what the network needs. */
export const SOCKET_RULES: readonly CriuRule[] = [
  {
    pattern: /Connected TCP socket, consider/,
    sentence: 'it has established TCP connections, which were to be refused',
    hint: 'Allow that they are closed (--tcp close), or wait until there are none.',
  },
  {
    pattern: /Connected TCP socket in image|Need to set the --tcp-close options/,
    sentence: 'it has established TCP connections, which cannot go on from another address',
    hint: 'Migrate again with --tcp close.',
  },
  {
    pattern:
      /(?:inet|unix):.*In-flight connection|closed in-flight socket|Non-empty write queue on an in-flight socket/,
    sentence: 'a connection to it has just been made that it has not accepted yet',
    hint: 'Try again: connections in this state last milliseconds, unless the program has stopped accepting.',
  },
  {
    pattern: /Unsupported proto (\d+) for socket/,
    sentence: ([, number = '']) =>
      `it has a socket of the protocol ${PROTOCOLS[number] ?? number}, which CRIU cannot dump`,
    hint: 'Let the program use plain TCP or UDP (Go: GODEBUG=multipathtcp=0), or close that socket.',
  },
  {
    pattern: /Can't dump corked dgram socket/,
    sentence: 'it is in the middle of writing a UDP packet (UDP_CORK)',
    hint: 'Try again.',
  },
  {
    pattern:
      /Can't dump (\d+) inet socket \S+ Only stream, dgram and raw|Unsupported socket type: (\d+)|unix: Unsupported type/,
    sentence: 'it has a socket of a type that CRIU cannot dump',
    hint: 'Let the program close it before trying again.',
  },
  {
    pattern:
      /Unknown socket collected \(family (\d+)\)|Sockets \(family (\d+) proto \d+\) are not collected|Unsupported socket family: (\d+)/,
    sentence: ([, a, b, c]) => {
      const number = a ?? b ?? c ?? '';
      return `it has a socket of the family ${FAMILIES[number] ?? number}, which CRIU cannot dump`;
    },
    hint: 'Let the program close it before trying again.',
  },
  {
    pattern: /Unknown inet socket \S+ state (\d+)|Socket state \d+ obtained but expected/,
    sentence: 'a TCP connection changed its state while it was dumped',
    hint: 'Try again.',
  },
  {
    pattern: /External socket is used\. Consider|Can't dump name-less external socket/,
    sentence: 'it has a unix socket whose other end is outside of the container',
    hint: 'Close the connection (another container of the pod, a log daemon, a driver, D-Bus) before trying again.',
  },
  {
    pattern: /Can't dump half of stream unix connection\. name: (.*); peer name: (.*?)\.?$/,
    sentence: ([, own = '', peer = '']) => {
      const known = [peer, own]
        .map((name) => name.replace(/\0/g, ''))
        .find((name) => /[^()\s.-]/.test(name) && !/null/.test(name));
      return `it is connected by a unix socket to something outside of the container${known ? ` (${known})` : ''}`;
    },
    hint: 'Close the connection (another container of the pod, a log daemon, a driver, D-Bus) before trying again.',
  },
  {
    pattern:
      /Can't dump half of stream unix connection|Unix socket \d+ (?:not found|without peer|with unreachable peer)|Dangling connection \d+/,
    sentence: 'it is connected by a unix socket to something outside of the container',
    hint: 'Close the connection (another container of the pod, a log daemon, a driver, D-Bus) before trying again.',
  },
  {
    pattern: /unix:.*Can't (?:bind id|connect) .*|unix:.*ghost: Can't/,
    sentence: 'a unix socket could not be set up again on this node',
    hint: 'The folder of the socket may lie on a volume that was not carried over, or a file of its name is there already.',
  },
  {
    pattern: /unix:.*(?:Can't resolve name for socket|obsolete method|Can't stat socket)/,
    sentence: 'the file of one of its unix sockets is gone or cannot be reached',
    hint: 'Let the program make its socket anew before trying again.',
  },
  {
    pattern:
      /More than 1 SCM is not possible|Control messages in queue, not supported|Unexpected 2nd SCM_RIGHTS/,
    sentence:
      'files are on their way through one of its unix sockets (SCM_RIGHTS) in a way that CRIU cannot dump',
    hint: 'Try again when the program is less busy.',
  },
  {
    pattern: /netlink: (?:The socket has data to read|The netlink socket|Groups above 32)/,
    sentence: 'it has a netlink socket with unread messages or unusual groups, which CRIU cannot dump',
    hint: 'Try again; a program that watches the network all the time (an agent, a mesh proxy) must close it.',
  },
  {
    pattern: /netlink: Can't (?:bind|connect|create) netlink/,
    sentence: 'a netlink socket could not be set up again on this node',
    hint: 'The program may need a right (CAP_NET_ADMIN) or a kernel module that this node does not have.',
  },
  {
    pattern: /packet: /,
    sentence:
      'it captures packets (a packet socket, as tcpdump and DHCP clients have) in a way that cannot be carried over',
    hint: 'End the capture before trying again.',
  },
  {
    pattern: /Diag module missing|Can't make diag socket|Can't create sock diag socket/,
    sentence: 'the kernel cannot tell about sockets (sock_diag)',
    hint: 'Load the modules on the node: modprobe -a unix_diag tcp_diag udp_diag inet_diag netlink_diag af_packet_diag.',
  },
  {
    pattern: /Can't bind inet socket.*: (.+)/,
    sentence: ([, why]) => `it is bound to an address or port that it cannot have in the new pod (${why})`,
    hint: 'Programs that listen on their pod IP cannot keep it on another node: let them listen on 0.0.0.0 or [::].',
  },
  {
    pattern: /Can't connect inet socket back/,
    sentence: 'a connected UDP socket or TCP connection cannot reach its other end from the new pod',
    hint: 'Migrate with --tcp close; check that the target node reaches the same networks.',
  },
  {
    pattern:
      /(?:Failed to (?:lock|unlock) TCP connection|libsoccr_save\(\) failed|Can't turn TCP repair mode|TCP_REPAIR)/,
    sentence: 'CRIU could not get hold of a TCP connection',
    hint: 'Migrate with --tcp close, or wait until there are no connections.',
  },
  {
    pattern:
      /Locking network failed: iptables-restore returned|Iptables configuration failed|Locking (?:network|connection) failed using nftables|built without libnftables/,
    sentence: 'CRIU could not lock the network',
    hint: 'Install iptables or nftables on the node.',
  },
  {
    pattern: /net: Unsupported link (?:\d+ \(type \d+ kind (\S+)\)|type)/,
    sentence: ([, kind]) =>
      `the pod has a network interface of a kind that CRIU cannot dump${kind ? ` (${kind})` : ''}`,
    hint: 'Tunnels and devices that the program makes in its pod stay on their node: remove them first.',
  },
  {
    pattern: /tun: /,
    sentence: 'it has a TUN or TAP device (a VPN), which cannot be carried over',
    hint: 'End the VPN before trying again.',
  },
];
