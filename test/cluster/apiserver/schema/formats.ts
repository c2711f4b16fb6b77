/** String formats that the API server checks in custom resources (k8s.io/kube-openapi/pkg/validation/strfmt). */
import { isIP, isIPv4, isIPv6 } from 'node:net';

const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const checks: Record<string, (text: string) => boolean> = {
  'date-time': (text) =>
    /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/.test(text) &&
    !Number.isNaN(Date.parse(text)),
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)),
  duration: (text) => /^[+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w)\s*)+$/.test(text) || text === '0',
  byte: (text) => /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text),
  uuid: (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text),
  ipv4: isIPv4,
  ipv6: isIPv6,
  ip: (text) => isIP(text) !== 0,
  cidr: (text) => {
    const [address = '', bits = ''] = text.split('/');
    return isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv4(address) ? 32 : 128);
  },
  mac: (text) => /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text),
  email: (text) => /^[^@\s]+@[^@\s]+$/.test(text),
  hostname: (text) =>
    text.length <= 255 &&
    text.split('.').every((part) => /^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$/.test(part)),
  uri: (text) => {
    try {
      new URL(text);
      return true;
    } catch {
      return text.startsWith('/');
    }
  },
  'k8s-short-name': (text) => text.length <= 63 && dnsLabel.test(text),
  'k8s-long-name': (text) => text.length <= 253 && text.split('.').every((part) => dnsLabel.test(part)),
};

/** False only when the format is known and the text is not of it; unknown formats are not checked. */
export function matchesFormat(format: string, text: string): boolean {
  return checks[format]?.(text) ?? true;
}
