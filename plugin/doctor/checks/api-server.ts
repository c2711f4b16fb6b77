import { Check, type Finding } from '../finding.js';
import type { Observed } from '../observed.js';

/** CEL rules of custom resources, without which a spec could be changed under a migration, came on by default with 1.25. */
const OLDEST_MINOR = 25;
/** Seconds: a certificate that was just made, or a token, is not valid yet for a clock that is further behind. */
const SKEW_S = 30;

export function apiServer({ server }: Observed): Finding[] {
  const check = new Check('api-server');
  const minor = Number(/^v?1\.(\d+)/.exec(server.version)?.[1]);
  if (minor < OLDEST_MINOR) {
    return [
      check.fail(
        `The API server has version ${server.version}; 1.${OLDEST_MINOR} or newer is needed.`,
        'kubectl version',
      ),
    ];
  }
  const skew = Math.round(Math.abs(server.aheadMs ?? 0) / 1000);
  if (skew > SKEW_S) {
    const which = (server.aheadMs ?? 0) > 0 ? 'ahead of' : 'behind';
    return [
      check.warn(
        `The clock of this machine is ${skew} s ${which} the API server's; certificates and tokens may seem expired or not valid yet.`,
        'timedatectl set-ntp true # on the machine whose clock is wrong',
      ),
    ];
  }
  return [check.ok(`${server.version} at ${server.url}`)];
}
