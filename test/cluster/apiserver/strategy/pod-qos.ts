import { parseQuantity } from '../../quantity.js';
import { containersOf, type PodSpec } from '../resources/pod-types.js';

const counted = ['cpu', 'memory'] as const;

/** The quality of service class (kubernetes.io: "Pod Quality of Service Classes"). */
export function qosClass(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  let hasAny = false;
  let isGuaranteed = true;
  for (const { container } of containersOf(spec)) {
    const { limits = {}, requests = {} } = container.resources ?? {};
    for (const resource of counted) {
      const limit = parseQuantity(limits[resource]) ?? 0;
      const request = parseQuantity(requests[resource]) ?? 0;
      if (limit > 0 || request > 0) hasAny = true;
      if (limit === 0 || (request > 0 && request !== limit)) isGuaranteed = false;
    }
  }
  if (!hasAny) return 'BestEffort';
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
}
