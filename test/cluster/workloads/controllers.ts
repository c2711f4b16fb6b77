/**
 * The controllers of Kubernetes' own workloads, imitated for tests of owners: what a Deployment, StatefulSet or Job does
 * with its pods, what a Service makes of them, and what a budget allows.
 */
import { daemonSetController } from './daemonset.js';
import { deploymentController } from './deployment.js';
import { disruptionController } from './disruption.js';
import { endpointsController, endpointSliceController } from './endpoints.js';
import { jobController } from './job.js';
import { replicaSetController } from './replicaset.js';
import type { Controller, Shell } from './shell.js';
import { statefulSetController } from './statefulset.js';

export const workloadControllers: readonly ((shell: Shell) => Controller)[] = [
  replicaSetController,
  deploymentController,
  statefulSetController,
  daemonSetController,
  jobController,
  endpointSliceController,
  endpointsController,
  disruptionController,
];
