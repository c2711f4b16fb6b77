/** The pod of a case: a counter that is fast enough for a lost or doubled instruction to show. */

/** Where a counter writes in its pod. */
const file = '/data/counter.log';

/**
 * Each line holds the count, a word that each start of the program draws anew, and the time since boot: two copies of one
 * process, or a second start, cannot write the same lines.
 *
 * @param mark stands in the program's command line, by which its processes are found
 */
export const counterPod = (name: string, mark: string, nodeName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'counter' } },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'counter',
        image: 'busybox:1.35',
        command: [
          '/bin/sh',
          '-c',
          `: ${mark}; trap 'exit 0' TERM; read -r start </proc/sys/kernel/random/uuid; COUNT=0
while :; do COUNT=$((COUNT + 1)); read -r up rest </proc/uptime
echo "Count=$COUNT $start $up" >>${file}; echo "Count=$COUNT"; sleep 0.02; done`,
        ],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  },
});

/** The file of a counter in the folder of its pod (/var/lib/kubelet/pods/UID). */
export const counterFile = 'volumes/kubernetes.io~empty-dir/data/counter.log';
