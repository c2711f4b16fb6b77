import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import { noSuchPath } from '../status-error.js';

export function serveOpenApi(_api: Api, _exchange: Exchange): void {
  throw noSuchPath();
}
