import type { SetUpStatus } from './keeper.js';

/** Flags of the agent that belong to the node's set-up. */
export const setUpFlags = {
  'setup-node': {
    type: 'boolean',
    default: false,
    describe: 'put the runtime handler and CRIU on the node, register the handler and restart the runtime',
  },
  'node-files': {
    type: 'string',
    default: '/opt/lpm',
    describe: 'folder of this container with what goes below /opt/lpm of the node',
  },
  'restart-command': {
    type: 'string',
    describe:
      "shell command on the node that restarts the container runtime (default: its systemd unit; elsewhere it is ended and its supervisor's to start again)",
  },
  'restart-timeout': {
    type: 'number',
    default: 90,
    describe: 'seconds within which the container runtime must serve after its restart, or all is taken back',
  },
  'uninstall-node': {
    type: 'boolean',
    default: false,
    describe: 'take away all that the set-up has put on the node, and end',
  },
  force: {
    type: 'boolean',
    default: false,
    describe: 'with --uninstall-node: although pods run with the handler',
  },
  'keep-state': {
    type: 'boolean',
    default: false,
    describe: 'with --uninstall-node: leave the folder of artifacts and marks',
  },
} as const;

/** What GetNodeInfo tells of the set-up. */
export const setUpInfo = ({ state, message }: SetUpStatus): { setUp: string; setUpMessage: string } => ({
  setUp: state,
  setUpMessage: message,
});
