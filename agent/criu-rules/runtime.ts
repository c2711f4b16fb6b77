import type { CriuRule } from './rule.js';

/** What runc and crun say when CRIU has not said anything. */
export const RUNTIME_RULES: readonly CriuRule[] = [
  {
    pattern: /criu\\?": executable file not found|exec: .*criu.*no such file|could not load `libcriu/i,
    sentence: 'CRIU is not installed on this node',
    hint: 'Install CRIU 4.1 or newer (crun needs libcriu too).',
  },
  {
    pattern:
      /CRIU version \d+ must be \d+ or higher|libcriu is too old|supported in CRIU >=|could not find symbol `criu_/i,
    sentence: 'CRIU on this node is too old',
    hint: 'Install CRIU 4.1 or newer.',
  },
  {
    pattern: /criu failed: signal: (\w+)|criu failed: exit status/,
    sentence: ([, signal]) => `CRIU was ended by somebody${signal ? ` (signal: ${signal})` : ''}`,
    hint: 'It may have run out of memory: look for the OOM killer with dmesg on the node.',
  },
  {
    pattern: /unexpected EOF|connection reset by peer|broken pipe/,
    sentence: 'CRIU ended without an answer',
    hint: 'It may have crashed or run out of memory: look at dmesg on the node.',
  },
  {
    pattern:
      /container does not exist|container "?\S*"? ?does not exist|Container cannot be checkpointed in (\w+) state|cannot checkpoint a container/i,
    sentence: ([, state]) =>
      state ? `its container is in the state ${state}` : 'its container is not there any more',
    hint: 'It has ended or was restarted meanwhile: look at the pod and try again.',
  },
  {
    pattern: /Container with id exists|container with given ID already exists/,
    sentence: 'a container of that ID is there already',
    hint: 'Remove what an earlier attempt left, or migrate again.',
  },
  {
    pattern: /checkpointing requires root|rootless/,
    sentence: 'the container runtime was not run as root',
    hint: 'The agent must be privileged.',
  },
  {
    pattern: /criu lacks support for external (\w+) namespace|criu is missing features/,
    sentence: 'CRIU on this node lacks something that the container runtime needs',
    hint: 'Install CRIU 4.1 or newer; run criu check on the node.',
  },
  {
    pattern: /Requested network namespace (\S+) does not exist/,
    sentence: "the pod's network namespace is not there",
    hint: 'The sandbox of the pod may have ended meanwhile: migrate again.',
  },
  {
    pattern: /create criu restore mountpoint for (\S+) mount/,
    sentence: ([, path]) => `the place ${path} for a mount could not be made in the container`,
    hint: 'Something else lies there in the image.',
  },
];
