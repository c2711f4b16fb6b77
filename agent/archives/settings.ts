import type { Repository } from './repository.js';

/** How this agent keeps archives. */
export interface ArchiveSettings {
  /** The repository that the nodes share. */
  repository: Repository;
  /** File of age recipients, one in a line, for whom archives are encrypted; read at each use, as a Secret may change. */
  recipientsFile: string | undefined;
  /** File of age identities with which encrypted archives are read. */
  identitiesFile: string | undefined;
}
