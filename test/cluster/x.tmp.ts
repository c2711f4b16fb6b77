import { openCluster } from './cluster.js';
const c = (await openCluster('/srv/lab/node-dev/c1'))!;
const w = c.node('k8s-worker');
console.log(
  (
    await w.exec([
      'sh',
      '-c',
      `ls -d /sys/fs/cgroup/*/kubepods/*/*; ls /var/lib/kubelet/pods /var/log/pods; mount | grep kubelet; ps ax | wc -l`,
    ])
  ).stdout,
);
await w.restartService('kubelet', { signal: 'KILL' });
console.log('killed kubelet');
