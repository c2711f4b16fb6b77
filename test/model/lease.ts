/** Leader election by a Lease, with client-go's times: a leader that cannot renew in time ends its process. */
import type { Controller } from './controller.js';
import type { Steps } from './scheduler.js';
import type { World } from './world.js';

const DURATION_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2_000;

export class Lease {
  #holder: string | undefined;
  #renewed = 0;

  constructor(private readonly world: World) {}

  *acquire(controller: Controller): Steps {
    const { world } = this;
    for (;;) {
      const free = this.#holder === undefined || world.now - this.#renewed > DURATION_MS;
      if ((free || this.#holder === controller.name) && !world.links.isCut(controller.name, 'api')) break;
      yield { at: '.wait for the lease', ms: RETRY_MS };
    }
    this.#holder = controller.name;
    this.#renewed = world.now;
  }

  *keep(controller: Controller): Steps {
    const { world } = this;
    for (let last = world.now; ;) {
      yield { at: '.renew the lease', ms: RETRY_MS };
      if (!world.links.isCut(controller.name, 'api')) {
        if (this.#holder !== controller.name) break;
        this.#renewed = last = world.now;
      }
      if (world.now - last > RENEW_DEADLINE_MS) break;
    }
    world.note('lease lost');
    world.crash(controller.process);
  }
}
