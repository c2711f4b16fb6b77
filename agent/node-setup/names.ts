/** Names of what the set-up of a node leaves on it. */

/** Everything of ours on a node lies below this folder, but for the runtime's configuration and the agent's state. */
export const NODE_FOLDER = '/opt/lpm';

/** The runtime handler's script. */
export const HANDLER_PATH = `${NODE_FOLDER}/bin/lpm-runtime`;

/** runc as the agent's image brings it, for nodes that have crun alone. */
export const SHIPPED_RUNC = `${NODE_FOLDER}/bin/runc`;

/** While this file is there, the agent changes nothing on the node: it is set up by hand. */
export const MANUAL_FILE = `${NODE_FOLDER}/etc/manual`;

/** First line of a file that is ours as a whole. */
export const FILE_HEADER =
  '# Made by kubectl-migrate for the runtime handler "lpm", and taken away with it. Changes are overwritten.';

/** Around what is ours in a file of somebody else. */
export const BLOCK_BEGIN = '# BEGIN kubectl-migrate: the runtime handler "lpm", taken away with it';
export const BLOCK_END = '# END kubectl-migrate';

/** Basename of our drop-in, without its ending. */
export const DROP_IN = '99-lpm';
