import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { LogRenderer, parseLogLine, tailOffset } from './log-format.js';
import { readLog, type LogOptions } from './log-stream.js';
import { restartCountByLogs } from './restart-count.js';

let dir = '';
let file = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lpm-log-'));
  file = join(dir, '0.log');
});
afterEach(() => rmSync(dir, { recursive: true }));

const line = (second: number, text: string, tag = 'F', stream = 'stdout'): string =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000001Z ${stream} ${tag} ${text}\n`;

async function read(options: LogOptions = {}): Promise<string> {
  let text = '';
  for await (const part of readLog(file, options, async () => false, new AbortController().signal))
    text += part;
  return text;
}

test('parts of a long line are put together, with one timestamp', () => {
  const renderer = new LogRenderer({ timestamps: true });
  const text = [line(1, 'long ', 'P'), line(1, 'line'), line(2, 'next')]
    .map((one) => parseLogLine(one.trimEnd().concat(one.includes(' P ') ? ' ' : '')))
    .map((entry) => (entry ? renderer.render(entry) : ''))
    .join('');
  assert.equal(text, '2026-01-01T00:00:01.000000001Z long line\n2026-01-01T00:00:02.000000001Z next\n');
});

test('an empty line stays an empty line', async () => {
  writeFileSync(file, line(1, '') + line(2, 'x'));
  assert.equal(await read(), '\nx\n');
});

test('the tail begins at the asked line, whatever the length of the log', async () => {
  const many = Array.from({ length: 20_000 }, (_, i) => line(i % 60, `line ${i}`)).join('');
  writeFileSync(file, many);
  assert.equal(await read({ tailLines: 2 }), 'line 19998\nline 19999\n');
  assert.equal((await read({ tailLines: 15_000 })).split('\n').length - 1, 15_000);
  assert.equal(await read({ tailLines: 0 }), '');
  assert.equal((await read({ tailLines: 1_000_000 })).split('\n').length - 1, 20_000);
});

test('tailOffset counts lines, not newlines at the end', () => {
  assert.equal(tailOffset(Buffer.from('a\nb\nc\n'), 1), 4);
  assert.equal(tailOffset(Buffer.from('a\nb\nc'), 1), 4);
  assert.equal(tailOffset(Buffer.from('a\n'), 5), 0);
  assert.equal(tailOffset(Buffer.from(''), 1), 0);
});

test('since, limit and stream each leave something out', async () => {
  writeFileSync(file, line(1, 'old') + line(5, 'new') + line(6, 'bad', 'F', 'stderr'));
  assert.equal(await read({ sinceMs: Date.parse('2026-01-01T00:00:04Z') }), 'new\nbad\n');
  assert.equal(await read({ limitBytes: 5 }), 'old\nn');
  assert.equal(await read({ stream: 'stderr' }), 'bad\n');
});

test('a followed log gives what is written later, and ends with its container', async () => {
  writeFileSync(file, line(1, 'first'));
  let running = true;
  const seen: string[] = [];
  for await (const text of readLog(
    file,
    { follow: true },
    async () => running,
    new AbortController().signal,
  )) {
    seen.push(text);
    if (seen.length === 1) appendFileSync(file, line(2, 'second'));
    if (seen.length === 2) {
      appendFileSync(file, line(3, 'last'));
      running = false;
    }
  }
  assert.equal(seen.join(''), 'first\nsecond\nlast\n');
});

test('the logs tell how often a container was started when the runtime has forgotten it', () => {
  assert.equal(restartCountByLogs(join(dir, 'none')), 0);
  assert.equal(restartCountByLogs(dir), 0);
  for (const name of ['2.log', '10.log', '9.log.20260101-000000', 'notes'])
    writeFileSync(join(dir, name), '');
  assert.equal(restartCountByLogs(dir), 11);
});
