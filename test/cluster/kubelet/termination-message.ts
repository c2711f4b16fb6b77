import { readFileSync, statSync } from 'node:fs';
import { hasExited, type ObservedPod } from './observed.js';
import { labels } from './labels.js';

/** No more of a container's last words are kept (the kubelet's MaxContainerTerminationMessageLength). */
const maxBytes = 4096;
const maxLogLines = 80;

/** Container ID → what it left in its termination message file, or, if it asked for that, the end of its log. */
export function terminationMessages(observed: ObservedPod): Map<string, string> {
  const messages = new Map<string, string>();
  for (const container of observed.containers) {
    if (!hasExited(container)) continue;
    const path = container.annotations[labels.terminationMessagePath];
    const mount = container.mounts.find(({ containerPath }) => containerPath === path);
    let text = mount ? read(mount.hostPath) : '';
    const fallback = container.annotations[labels.terminationMessagePolicy] === 'FallbackToLogsOnError';
    if (!text && fallback && container.exitCode !== 0) {
      text = read(container.logPath)
        .split('\n')
        .slice(-maxLogLines)
        .map((line) => line.split(' ').slice(3).join(' '))
        .join('\n');
    }
    if (text) messages.set(container.id, text);
  }
  return messages;
}

function read(file: string): string {
  try {
    const { size } = statSync(file);
    return readFileSync(file)
      .subarray(Math.max(0, size - maxBytes))
      .toString('utf8');
  } catch {
    return '';
  }
}
