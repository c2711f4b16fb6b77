/**
 * Candidates of an election in simulated time: each has a clock of its own that begins anywhere and runs too fast or too
 * slow, and a network that delays, loses and repeats; each may stand still, die and begin again under another name. One API
 * server carries out what reaches it, in the order in which it does.
 */
import {
  believes,
  candidate,
  conflicted,
  ended,
  looked,
  nextStep,
  unanswered,
  written,
  type Candidate,
  type ElectionTimes,
  type LeaseSeen,
} from './election.js';

/** What happens to one request; times in milliseconds of real time. */
export interface Fate {
  there: number;
  back: number;
  requestLost: boolean;
  answerLost: boolean;
  /** A copy of the request arrives so much later. */
  repeatedAfter: number | undefined;
  /** The answer is delivered a second time so much later. */
  answeredAgainAfter: number | undefined;
}

/** Something that happens to one candidate at a point of real time. */
export type Trouble =
  | { at: number; who: number; kind: 'stop'; ms: number }
  | { at: number; who: number; kind: 'restart' }
  | { at: number; who: number; kind: 'release' };

export interface Scenario {
  clocks: { offset: number; rate: number }[];
  /** Taken in turn by the requests; none left: the network is perfect. */
  fates: Fate[];
  troubles: Trouble[];
  times: ElectionTimes;
  /** Real time at which the simulation ends. */
  untilMs: number;
}

export interface Outcome {
  /** Moments of real time at which two believed to lead. */
  two: string[];
  /** Who leads at the end. */
  leader: string | undefined;
  /** How often the leadership began. */
  terms: number;
}

type Answer = { seen: LeaseSeen | undefined } | 'conflict';
interface Actor {
  state: Candidate;
  clock: { offset: number; rate: number };
  /** Number of the request that is waited for; an answer to another one is not. */
  waitsFor: number;
  request: number;
  stoppedUntil: number;
  incarnation: number;
}

const TIMEOUT_SHARE = 0.5;

export function runElection(scenario: Scenario): Outcome {
  const { times, untilMs } = scenario;
  // A copy: the scenario is told as it was when something goes wrong.
  const fates = [...scenario.fates];
  let real = 0;
  let order = 0;
  const events: { at: number; order: number; run: () => void }[] = [];
  const at = (when: number, run: () => void) => {
    events.push({ at: Math.max(when, real), order: (order += 1), run });
  };
  const actors = scenario.clocks.map((clock, index): Actor => ({
    state: candidate(`${index}.0`),
    clock,
    waitsFor: 0,
    request: 0,
    stoppedUntil: 0,
    incarnation: 0,
  }));
  const local = ({ clock }: Actor) => clock.offset + real * clock.rate;
  const leads = (actor: Actor) => believes(actor.state, local(actor), times);
  const outcome: Outcome = { two: [], leader: undefined, terms: 0 };

  let stored: LeaseSeen | undefined;
  let version = 0;
  const carryOut = (holder: string | undefined, from: LeaseSeen | undefined): Answer => {
    if (holder === undefined) return { seen: stored };
    if (stored?.version !== from?.version) return 'conflict';
    stored = { holder, version: String((version += 1)), durationMs: times.leaseDurationMs };
    return { seen: stored };
  };

  /** Runs when the candidate is not stopped, else as soon as it goes on: timers and answers wait for it. */
  const whenAwake = (actor: Actor, run: () => void) => {
    const { incarnation } = actor;
    const attempt = () => {
      if (actor.incarnation !== incarnation) return;
      if (real < actor.stoppedUntil) at(actor.stoppedUntil, attempt);
      else run();
    };
    attempt();
  };

  const send = (actor: Actor, holder: string | undefined, from: LeaseSeen | undefined) => {
    const fate = fates.shift() ?? {
      there: 1,
      back: 1,
      requestLost: false,
      answerLost: false,
      repeatedAfter: undefined,
      answeredAgainAfter: undefined,
    };
    const number = (actor.request += 1);
    actor.waitsFor = number;
    const sentAt = local(actor);
    const { incarnation } = actor;
    const deliver = (answer: Answer) =>
      whenAwake(actor, () => {
        // A connection dies with its process: nothing of what was asked by one reaches the next.
        if (actor.incarnation !== incarnation) return;
        // An answer that comes after its request was given up still says what it says, if it is a success.
        const awaited = actor.waitsFor === number;
        const before = leads(actor);
        if (answer === 'conflict') {
          if (awaited) actor.state = conflicted(actor.state, local(actor));
        } else if (holder !== undefined) {
          actor.state = written(actor.state, answer.seen!, sentAt, local(actor), times);
        } else if (awaited) {
          actor.state = looked(actor.state, answer.seen, local(actor), times);
        }
        if (!before && leads(actor)) outcome.terms += 1;
        check();
        if (!awaited) return;
        actor.waitsFor = 0;
        turn(actor);
      });
    const arrive = (answered: boolean) => {
      const answer = carryOut(holder, from);
      if (!answered || fate.answerLost) return;
      at(real + fate.back, () => deliver(answer));
      if (fate.answeredAgainAfter !== undefined) {
        at(real + fate.back + fate.answeredAgainAfter, () => deliver(answer));
      }
    };
    if (!fate.requestLost) at(real + fate.there, () => arrive(true));
    if (fate.repeatedAfter !== undefined) at(real + fate.there + fate.repeatedAfter, () => arrive(false));
    at(real + (times.renewDeadlineMs * TIMEOUT_SHARE) / actor.clock.rate, () =>
      whenAwake(actor, () => {
        if (actor.waitsFor !== number) return;
        actor.waitsFor = 0;
        actor.state = unanswered(actor.state, local(actor), times);
        turn(actor);
      }),
    );
  };

  const turn = (actor: Actor): void => {
    const step = nextStep(actor.state, local(actor), times);
    switch (step.do) {
      case 'wait':
        // Timers are late rather than early.
        return at(real + step.ms / actor.clock.rate + 0.001, () => whenAwake(actor, () => turn(actor)));
      case 'look':
        return send(actor, undefined, undefined);
      case 'take':
      case 'renew':
        return send(actor, actor.state.identity, step.from);
      case 'lost':
        // The kubelet starts it again.
        return at(real + 100, () => restart(actor));
      default:
        step satisfies never;
    }
  };
  const restart = (actor: Actor) => {
    actor.incarnation += 1;
    actor.waitsFor = 0;
    actor.stoppedUntil = 0;
    actor.state = candidate(`${actors.indexOf(actor)}.${actor.incarnation}`);
    turn(actor);
  };
  const check = () => {
    const leading = actors.filter(leads);
    if (leading.length > 1) outcome.two.push(`${real}: ${leading.map(({ state }) => state.identity).join()}`);
  };

  for (const actor of actors) turn(actor);
  for (const trouble of scenario.troubles) {
    at(trouble.at, () => {
      const actor = actors[trouble.who % actors.length]!;
      switch (trouble.kind) {
        case 'stop':
          actor.stoppedUntil = Math.max(actor.stoppedUntil, real + trouble.ms);
          break;
        case 'restart':
          restart(actor);
          break;
        case 'release': {
          const { state } = actor;
          if (!leads(actor)) return;
          actor.state = ended(state, 'released');
          send(actor, '', state.seen);
          at(real + 100, () => restart(actor));
          break;
        }
        default:
          trouble satisfies never;
      }
    });
  }
  while (events.length > 0) {
    let first = 0;
    events.forEach((event, index) => {
      const best = events[first]!;
      if (event.at < best.at || (event.at === best.at && event.order < best.order)) first = index;
    });
    const [event] = events.splice(first, 1);
    if (event!.at > untilMs) break;
    real = event!.at;
    check();
    event!.run();
    check();
  }
  outcome.leader = actors.find(leads)?.state.identity;
  return outcome;
}
