import assert from 'node:assert/strict';
import { test } from 'node:test';
import { establishedConnections, namespaceProblems } from './inspect.js';
import { annotationProblem, cpuFacts, parseCriuVersion, parseOciVersion } from './node-info.js';
import type { OciContainer } from './oci.js';

test('established connections count unless both ends are on loopback', () => {
  const table = `  sl  local_address rem_address   st tx_queue
   0: 0100007F:1F90 0100007F:C001 01 00000000:00000000
   1: 0A0AF40A:1F90 0B0AF40A:C001 01 00000000:00000000
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000
   3: 0A0AF40A:1F90 0B0AF40A:C002 06 00000000:00000000
   4: 0000000000000000FFFF00000A0AF40A:1F90 0000000000000000FFFF00000B0AF40A:C001 01 0
   5: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:C001 01 0
   6: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:C001 01 0`;
  assert.equal(establishedConnections(table), 2);
});

test('namespaces that cannot come back are named', () => {
  const of = (namespaces: { type: string; path?: string }[]): string[] =>
    namespaceProblems({ name: 'c', oci: { spec: { linux: { namespaces } } } as OciContainer });
  const ordinary = [{ type: 'pid' }, { type: 'ipc', path: '/p' }, { type: 'network', path: '/p' }];
  assert.deepEqual(of(ordinary), []);
  assert.match(
    of([{ type: 'pid', path: '/proc/1/ns/pid' }, { type: 'ipc' }])[0] ?? '',
    /shareProcessNamespace/,
  );
  assert.match(of([{ type: 'ipc' }])[0] ?? '', /hostPID/);
  assert.match(of([{ type: 'pid' }])[0] ?? '', /hostIPC/);
  assert.match(of([...ordinary, { type: 'user' }])[0] ?? '', /hostUsers/);
});

test('versions are read from what the programs print', () => {
  assert.deepEqual(parseOciVersion('runc version 1.3.6+ds1\ncommit: x\n'), {
    ociRuntime: 'runc',
    ociRuntimeVersion: '1.3.6+ds1',
  });
  assert.equal(parseOciVersion('crun version 1.28\ncommit: y\n').ociRuntime, 'crun');
  assert.equal(parseCriuVersion('Version: 4.2.1\nGitID: v4.2.1\n'), '4.2.1');
});

test('a handler that would not see the annotation is not ready', () => {
  const config = (PodAnnotations: string[]): string =>
    JSON.stringify({ containerd: { runtimes: { lpm: { PodAnnotations } } } });
  assert.equal(annotationProblem(config(['lpm.my.domain/*'])), '');
  assert.match(annotationProblem(config(['other'])), /pod_annotations/);
  assert.equal(annotationProblem(undefined), '');
});

test('CPU facts of both architectures', () => {
  assert.deepEqual(cpuFacts('model name\t: AMD EPYC\nflags\t\t: fpu vme\n\nmodel name\t: AMD EPYC\n'), {
    model: 'AMD EPYC',
    flags: ['fpu', 'vme'],
  });
  assert.deepEqual(cpuFacts('Features\t: fp asimd\nCPU part\t: 0xd0c\n'), {
    model: '0xd0c',
    flags: ['fp', 'asimd'],
  });
});
