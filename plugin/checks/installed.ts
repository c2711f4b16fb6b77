import { crdsInstalled, type KubeClient } from '../../common/kube/client.js';
import { GROUP } from '../../common/api/names.js';
import { CliError } from '../cli-error.js';

/** What is said when the cluster does not know our API. */
export function notInstalled(): CliError {
  return new CliError(`Live pod migration is not installed in this cluster (no resources of ${GROUP}).`, [
    'Install it with: kubectl migrate install',
    'If it should be there, check the cluster: kubectl config current-context',
  ]);
}

export async function requireInstalled(client: KubeClient): Promise<void> {
  if (!(await crdsInstalled(client))) throw notInstalled();
}
