import { createServer, type Server } from 'node:http';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { HealthCheckResponse_ServingStatus, type HealthServer } from '../proto/gen/grpc/health/v1/health.js';
import type { Metrics } from './metrics.js';

export interface HealthSource {
  /** Empty when the agent can do its work, else why not. */
  readiness(): Promise<string>;
  metrics: Metrics;
}

/** Plain HTTP for the kubelet's probes, which have no client certificate, and for Prometheus. */
export function healthHttpServer({ readiness, metrics }: HealthSource): Server {
  return createServer((request, response) => {
    const answer = (code: number, text: string): void => {
      response.writeHead(code, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
      response.end(text);
    };
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return answer(200, 'ok\n');
      case '/readyz':
        void readiness().then(
          (problem) => answer(problem ? 503 : 200, `${problem || 'ok'}\n`),
          (error: unknown) => answer(503, `${String(error)}\n`),
        );
        return;
      case '/metrics':
        void metrics.text().then(
          (text) => answer(200, text),
          (error: unknown) => answer(500, `${String(error)}\n`),
        );
        return;
      default:
        return answer(404, 'not found\n');
    }
  });
}

/** grpc.health.v1, so that a gRPC client can ask in its own way. It serves for as long as the process accepts calls. */
export function healthService(readiness: () => Promise<string>): HealthServer & UntypedServiceImplementation {
  const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
  const status = async (): Promise<{ status: HealthCheckResponse_ServingStatus }> => ({
    status: (await readiness().catch(() => 'unknown')) ? NOT_SERVING : SERVING,
  });
  return {
    check: (_call, callback) => void status().then((answer) => callback(null, answer)),
    watch: (call) => void status().then((answer) => call.write(answer)),
  };
}
