/** Subresources other than status, by resource and name. */
import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import type { TokenUsers } from '../http/authenticate.js';
import type { Target } from '../http/resource-handler.js';
import { noSuchPath } from '../status-error.js';
import { createBinding } from './binding.js';
import { createEviction } from './eviction.js';
import { updateEphemeralContainers } from './ephemeral-containers.js';
import { finalizeNamespace } from './finalize.js';
import type { KubeletClient } from './kubelet-client.js';
import { podLog } from './log.js';
import { proxyToNode, proxyToPod } from './node-proxy.js';
import { handleScale } from './scale.js';
import { createToken } from './token.js';

export interface SubresourceServices {
  kubelet: KubeletClient;
  tokenUsers: TokenUsers;
}

export async function handleSubresource(
  api: Api,
  services: SubresourceServices,
  exchange: Exchange,
  target: Target,
  name: string,
  subresource: string,
): Promise<void> {
  const { resource } = target;
  switch (`${resource.storage}/${subresource}`) {
    case '/pods/log':
      return podLog(api, services.kubelet, exchange, target, name);
    case '/pods/binding':
      return createBinding(api, exchange, target, name);
    case '/pods/eviction':
      return createEviction(api, exchange, target, name);
    case '/pods/ephemeralcontainers':
      return updateEphemeralContainers(api, exchange, target, name);
    case '/pods/exec':
    case '/pods/attach':
    case '/pods/portforward':
      return proxyToPod(api, services.kubelet, exchange, target, name, subresource);
    case '/nodes/proxy':
      return proxyToNode(api, services.kubelet, exchange, target, name);
    case '/namespaces/finalize':
      return finalizeNamespace(api, exchange, target, name);
    case '/serviceaccounts/token':
      return createToken(api, exchange, target, name);
    default:
      if (subresource === 'scale' && resource.scale)
        return handleScale(api, exchange, target, name, resource.scale);
      throw noSuchPath();
  }
}
