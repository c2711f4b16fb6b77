import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { credentials, experimental, ServerCredentials, type ChannelCredentials } from '@grpc/grpc-js';
import { LpmError, messageOf } from '../common/errors.js';

// grpc-js hands no minimum on to Node, so it is set for the whole process. Everything that speaks TLS here is ours.
tls.DEFAULT_MIN_VERSION = 'TLSv1.3';

/** How often the files are looked at again; the controller renews them long before they end. */
const REFRESH_MS = 10_000;

/** tls.crt, tls.key and ca.crt of a folder, as a Kubernetes Secret of type kubernetes.io/tls is mounted. */
export class TlsFiles {
  private readonly provider: experimental.FileWatcherCertificateProvider;

  /** @throws Internal when a file is missing, so that a wrong set-up shows at the start */
  constructor(readonly folder: string) {
    for (const name of ['tls.crt', 'tls.key', 'ca.crt']) this.read(name);
    this.provider = new experimental.FileWatcherCertificateProvider({
      certificateFile: join(folder, 'tls.crt'),
      privateKeyFile: join(folder, 'tls.key'),
      caCertificateFile: join(folder, 'ca.crt'),
      refreshIntervalMs: REFRESH_MS,
    });
  }

  /** Requires a client certificate of our authority; a renewed certificate is used for new connections. */
  serverCredentials(): ServerCredentials {
    return experimental.createCertificateProviderServerCredentials(this.provider, this.provider, true);
  }

  /** Shows our certificate, and accepts only servers of our authority. */
  clientCredentials(): ChannelCredentials {
    return credentials.createSsl(this.read('ca.crt'), this.read('tls.key'), this.read('tls.crt'));
  }

  private read(name: string): Buffer {
    try {
      return readFileSync(join(this.folder, name));
    } catch (error) {
      throw new LpmError(
        'Internal',
        `The TLS file ${join(this.folder, name)} cannot be read: ${messageOf(error)}.`,
        {
          cause: error,
        },
      );
    }
  }
}
