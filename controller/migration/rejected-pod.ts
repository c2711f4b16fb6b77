/** Why the API server does not take the target pod, in our words. */
import { RUNTIME_CLASS } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import type { ApiError } from '../../common/kube/api-error.js';
import { sentence } from '../../common/sentence.js';

export function rejectedPod(name: string, error: ApiError): LpmError {
  if (error.isAlreadyExists) {
    return new LpmError(
      'NameTaken',
      `There is a pod ${name} already, so the restored pod cannot have that name.`,
      { hint: 'Choose another name with spec.restoredPodName, or leave it out.' },
    );
  }
  const words = sentence(error.message);
  if (/RuntimeClass.*not found/.test(words)) {
    return new LpmError('HandlerMissing', `The cluster has no RuntimeClass ${RUNTIME_CLASS}.`, {
      hint: 'Install it: kubectl apply -f manifests/runtimeclass.yaml',
      cause: error,
    });
  }
  return new LpmError('TargetPodRejected', `The API server does not accept pod ${name}: ${words}`, {
    hint: 'A quota, a policy or a webhook of the cluster forbids it; the message says which.',
    cause: error,
  });
}
