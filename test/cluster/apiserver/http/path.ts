/** What a path of the API is about (apiserver/pkg/endpoints/request, RequestInfo). */
export interface ResourcePath {
  group: string;
  version: string;
  namespace: string | undefined;
  plural: string;
  name: string | undefined;
  /** What follows the name: `status`, `log`, or `proxy` and a path of its own. */
  subresource: string | undefined;
  rest: string;
  /** The old form of a watch: /api/v1/watch/pods. */
  isWatch: boolean;
}

const namespaceSubresources = new Set(['status', 'finalize']);

/** Undefined for paths that are no resource's (discovery, health, …). */
export function parseResourcePath(pathname: string): ResourcePath | undefined {
  const all = pathname.split('/').filter((part) => part !== '');
  const isCore = all[0] === 'api';
  if (!isCore && all[0] !== 'apis') return undefined;
  const [group, version] = isCore ? ['', all[1]] : [all[1], all[2]];
  const parts = all.slice(isCore ? 2 : 3);
  if (group === undefined || version === undefined || parts.length === 0) return undefined;
  const isWatch = parts[0] === 'watch';
  if (isWatch) parts.shift();
  let namespace: string | undefined;
  if (parts[0] === 'namespaces' && parts.length > 2 && !namespaceSubresources.has(parts[2]!)) {
    namespace = decodeURIComponent(parts[1]!);
    parts.splice(0, 2);
  }
  const [plural, name, subresource, ...rest] = parts.map(decodeURIComponent);
  if (plural === undefined) return undefined;
  return { group, version, namespace, plural, name, subresource, rest: rest.join('/'), isWatch };
}
