/** Command lines that several checks name. */
import { SYSTEM_NAMESPACE } from '../../../common/api/names.js';
import { DEPLOYMENT } from '../objects.js';

export const INSTALL = 'kubectl migrate install';
export const CONTROLLER_LOGS = `kubectl logs -n ${SYSTEM_NAMESPACE} deployment/${DEPLOYMENT}`;
