/** The proxy that the environment names, as kubectl takes it (golang.org/x/net/http/httpproxy). Pure. */
import { BlockList, isIP } from 'node:net';

/** For a server's URL; undefined: ask it directly. Names in lower case count as well, those in upper case first. */
export function proxyFromEnv(server: string, env: NodeJS.ProcessEnv): string | undefined {
  const named = (name: string) => env[name] || env[name.toLowerCase()] || undefined;
  let url: URL;
  try {
    url = new URL(server);
  } catch {
    // Whoever asks the server says that it is none.
    return undefined;
  }
  const proxy = named(url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (proxy === undefined || isDirect(url, named('NO_PROXY') ?? '')) return undefined;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

function isDirect({ hostname, port, protocol }: URL, noProxy: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const family = isIP(host);
  if (host === 'localhost' || host === '::1' || (family === 4 && host.startsWith('127.'))) return true;
  const at = port || (protocol === 'https:' ? '443' : '80');
  return noProxy
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== '' && (entry === '*' || matches(entry, host, family, at)));
}

/** An address, a range of them, `name` and all below it, `.name` and only what is below it; each may have a port. */
function matches(entry: string, host: string, family: number, port: string): boolean {
  const [, range = '', bits] = /^(.*)\/(\d+)$/.exec(entry) ?? [];
  if (isIP(range)) return family === isIP(range) && isWithin(host, range, Number(bits), family);
  const [, name = entry, ofPort] = isIP(entry) ? [] : (/^\[?(.*?)\]?:(\d+)$/.exec(entry) ?? []);
  if (ofPort !== undefined && ofPort !== port) return false;
  if (family !== 0 || isIP(name)) return host === name;
  const domain = name.replace(/^\*?\./, '.');
  return domain.startsWith('.') ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

function isWithin(host: string, range: string, bits: number, family: number): boolean {
  const type = family === 6 ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  if (bits > (family === 6 ? 128 : 32)) return false;
  list.addSubnet(range, bits, type);
  return list.check(host, type);
}
