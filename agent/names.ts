import { LpmError } from '../common/errors.js';

/** UUIDs as the API server makes them (RFC 4122), any version. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** DNS-1123 label: container, volume and namespace names. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** DNS-1123 subdomain: pod and node names. */
const SUBDOMAIN = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
/** Container IDs of containerd and CRI-O are 64 hex digits; runc takes a little more. */
const CONTAINER_ID = /^[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}$/;

function check(pattern: RegExp, value: string, what: string, wants: string): string {
  if (pattern.test(value)) return value;
  throw new LpmError('InvalidArgument', `${what} "${value.slice(0, 80)}" is not ${wants}.`);
}

/** Names that become paths pass through one of these. Each answers its value, or throws InvalidArgument. */
export const checkUid = (value: string, what: string): string => check(UUID, value, what, 'a UID');
export const checkLabel = (value: string, what: string): string =>
  check(LABEL, value, what, 'a DNS-1123 label');
export const checkSubdomain = (value: string, what: string): string =>
  check(SUBDOMAIN, value, what, 'a DNS-1123 subdomain');
export const checkContainerId = (value: string, what: string): string =>
  check(CONTAINER_ID, value, what, 'a container ID');
/** "IP:port" of an agent, as the controller knows it. */
export const checkAddress = (value: string, what: string): string =>
  check(/^(\[[0-9a-fA-F:]+\]|[0-9.]+):\d{1,5}$/, value, what, 'IP:port');

export const isLabel = (value: string): boolean => LABEL.test(value);
export const isUid = (value: string): boolean => UUID.test(value);

export interface CheckedPod {
  namespace: string;
  name: string;
  uid: string;
}

export function checkPod(pod: { namespace: string; name: string; uid: string } | undefined): CheckedPod {
  if (!pod) throw new LpmError('InvalidArgument', 'The request names no pod.');
  return {
    namespace: checkLabel(pod.namespace, 'namespace'),
    name: checkSubdomain(pod.name, 'pod name'),
    uid: checkUid(pod.uid, 'pod UID'),
  };
}
