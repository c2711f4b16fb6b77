/** Jobs. */
import type { Scenario, Stage } from '../play.js';
import type { Job } from '../types.js';
import { type PodOptions, podTemplate, nothingLeft } from './templates.js';

const createJob = (stage: Stage, spec: object, template: PodOptions): Promise<unknown> =>
  stage.clients.jobs.create(
    {
      metadata: { name: 'work' },
      spec: { ...spec, template: podTemplate({ restartPolicy: 'Never', ...template }) },
    } as never,
    stage.namespace,
  );

const jobIs = (condition: string) => (stage: Stage) => stage.condition('Job', 'work', condition) === 'True';

export const completions: Scenario = {
  name: 'job-completions',
  about: 'Three completions, two at a time.',
  marks: [],
  steps: [
    {
      title: 'a Job of 3, 2 at a time',
      act: (stage) => createJob(stage, { completions: 3, parallelism: 2 }, { behaviour: 'succeeds' }),
      until: jobIs('Complete'),
    },
    {
      title: 'deleted',
      act: (stage) => stage.clients.jobs.delete('work', stage.namespace, { propagationPolicy: 'Background' }),
      until: nothingLeft,
    },
  ],
};

export const indexed: Scenario = {
  name: 'job-indexed',
  about: 'An Indexed Job: every index has its pod.',
  marks: [],
  steps: [
    {
      title: 'an Indexed Job of 2',
      act: (stage) =>
        createJob(
          stage,
          { completions: 2, parallelism: 2, completionMode: 'Indexed' },
          { behaviour: 'succeeds' },
        ),
      until: jobIs('Complete'),
    },
  ],
};

export const failing: Scenario = {
  name: 'job-failing',
  about: 'A Job whose pods fail is given up after its backoffLimit.',
  marks: ['finished'],
  steps: [
    {
      title: 'a Job that fails, backoffLimit 1',
      act: (stage) => createJob(stage, { backoffLimit: 1 }, { behaviour: 'fails' }),
      until: jobIs('Failed'),
    },
  ],
};

export const jobPodDeleted: Scenario = {
  name: 'job-pod-deleted',
  about: 'A Job’s pod that is deleted while it runs is replaced once it is gone; suspended, it has none.',
  marks: [],
  steps: [
    {
      title: 'a Job that runs',
      act: (stage) => createJob(stage, {}, { behaviour: 'runs' }),
      until: (stage) => stage.field('Job', 'work', 'status', 'ready') === 1,
    },
    {
      title: 'its pod is deleted',
      act: (stage) => stage.deletePod('p1'),
      until: (stage) =>
        stage.pods().length === 1 &&
        stage.readyPods().length === 1 &&
        stage.field('Job', 'work', 'status', 'failed') === 1 &&
        stage.field('Job', 'work', 'status', 'ready') === 1 &&
        uncountedIsEmpty(stage),
    },
    {
      title: 'suspended',
      act: (stage) => stage.clients.jobs.patch('work', stage.namespace, { spec: { suspend: true } }),
      until: (stage) => stage.pods().length === 0 && jobIs('Suspended')(stage),
    },
    {
      title: 'resumed',
      act: (stage) => stage.clients.jobs.patch('work', stage.namespace, { spec: { suspend: false } }),
      until: (stage) => stage.readyPods().length === 1 && stage.field('Job', 'work', 'status', 'ready') === 1,
    },
  ],
};

function uncountedIsEmpty(stage: Stage): boolean {
  const uncounted = stage.seen.get<Job>('Job', 'work')?.status?.uncountedTerminatedPods;
  return !uncounted?.failed?.length && !uncounted?.succeeded?.length;
}
