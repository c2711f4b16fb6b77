import { SYSTEM_NAMESPACE } from '../common/api/names.js';

/** What is said when nobody has taken up a new object for so long. */
export const IDLE = {
  afterMs: 15_000,
  note: `the controller has not taken it up yet; is it running? kubectl get pods -n ${SYSTEM_NAMESPACE}`,
};
