/** Times as Kubernetes writes them (RFC 3339, UTC). */

/** metav1.Time: whole seconds. */
export function timestamp(atMs: number = Date.now()): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}

/** metav1.MicroTime: six digits after the point. */
export function microTimestamp(atMs: number = Date.now()): string {
  return new Date(atMs).toISOString().replace('Z', '000Z');
}

/**
 * A duration as kubectl's tables show it: the two largest units at most, fewer the longer it is
 * (k8s.io/apimachinery/pkg/util/duration, HumanDuration).
 */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 60 * 2) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 60 * 3) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 24 * 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (hours < 24 * 365 * 2) return `${days}d`;
  const years = Math.floor(days / 365);
  if (hours < 24 * 365 * 8) return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`;
  return `${years}y`;
}

/** How long ago a timestamp was, as tables show it. */
export function age(time: unknown, nowMs: number = Date.now()): string {
  if (typeof time !== 'string' || time === '') return '<unknown>';
  return humanDuration(nowMs - Date.parse(time));
}
