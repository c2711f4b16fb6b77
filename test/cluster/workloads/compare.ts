/**
 * Compares what happened with what was recorded. The order counts for each actor by itself, together with what happens to
 * the pods: two controllers do not wait for each other, so how their actions lie between one another is chance.
 */
import { sortRuns, type Recording, type RecordedStep } from './describe.js';

/** What must be equal in two recordings of a scenario. */
export function comparable(recording: Recording, equalPods: boolean): unknown {
  return recording.steps.map((step) => ({
    title: step.title,
    actions: byActor(equalPods ? step.actions.map(withoutNumbers) : step.actions),
    events: equalPods ? sortedEvents(step) : step.events,
    objects: equalPods ? samePods(step.objects) : step.objects,
  }));
}

function byActor(actions: string[]): Record<string, string[]> {
  const split = actions.map((action) => {
    const [actor = '', ...rest] = action.split(': ');
    return { actor, text: rest.join(': ') };
  });
  const actors = [...new Set(split.map(({ actor }) => actor))].filter((actor) => actor !== 'kubelet').sort();
  return Object.fromEntries(
    actors.map((actor) => {
      const seen = split.filter(
        (one) => one.actor === actor || (one.actor === 'kubelet' && isOfDeploymentsTime(actor)),
      );
      return [actor, sortRuns(seen.map(({ text }) => text))];
    }),
  );
}

/**
 * A ReplicaSet never waits for pods; it is asked to do things by a Deployment that does. What the pods go through says
 * nothing about the order of its own actions.
 */
function isOfDeploymentsTime(actor: string): boolean {
  return !actor.startsWith('ReplicaSet') && !actor.startsWith('Service') && actor !== 'user';
}

const withoutNumbers = (text: string): string => text.replace(/\bp\d+\b/g, 'p');

function sortedEvents({ events }: RecordedStep): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(events).map(([about, texts]) => [about, texts.map(withoutNumbers).sort()]),
  );
}

/** The pods as a sorted list, whatever their numbers. */
function samePods(objects: Record<string, unknown>): Record<string, unknown> {
  const others = Object.entries(objects).filter(([key]) => !/^Pod p\d+$/.test(key));
  const pods = Object.entries(objects)
    .filter(([key]) => /^Pod p\d+$/.test(key))
    .map(([, pod]) => withoutNumbers(JSON.stringify(pod)))
    .sort();
  return { ...Object.fromEntries(others), pods };
}
