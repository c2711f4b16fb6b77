/** The scenarios that were recorded on a real cluster and are played against the local one. */
import type { Scenario } from './play.js';
import { daemons } from './scenarios/daemonset.js';
import { scaling, rollout, recreate, deadline } from './scenarios/deployments.js';
import { completions, indexed, failing, jobPodDeleted } from './scenarios/jobs.js';
import { ownership } from './scenarios/replicaset.js';
import { service, disruption } from './scenarios/services.js';
import { ordered, parallel } from './scenarios/statefulsets.js';

export const scenarios: Scenario[] = [
  scaling,
  rollout,
  recreate,
  deadline,
  ownership,
  ordered,
  parallel,
  completions,
  indexed,
  failing,
  jobPodDeleted,
  service,
  disruption,
  daemons,
];
