/**
 * What a cluster of the test build (`clusterUp({ faults: true })`) has other than one of users' programs: agents, controller
 * and handler stop at fault points (common/fault-point.ts), and whoever waits for somebody that died does not wait long.
 */
export const testBuild = {
  controller: [
    ...['--agent-call-seconds', '1.5'],
    ...['--agent-work-seconds', '3'],
    ...['--agent-silence-seconds', '1'],
    ...['--rejoin-seconds', '1.5'],
  ],
  kubelet: ['--restart-backoff-ms', '500'],
  /** Files in /opt/lpm/etc. */
  handler: { 'wait-seconds': '30' },
};

/** Folder in a node in which fault points of its agent and handler are armed. */
export const faultFolder = '/run/lpm-faults';
