import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reason } from '../../common/errors.js';
import { isUnsettled, nothingToShow, outcomeOf, OUTCOMES, rowOf, type Answer } from './outcome.js';

const subject = {
  nodeName: 'worker',
  address: '10.0.0.7:10250',
  namespace: 'default',
  pod: 'test-pod',
  container: 'nginx',
  patienceMs: 120_000,
};
const anAnswer = (part: Partial<Answer>): Answer => ({
  credential: 'the token in /token',
  status: 0,
  body: '',
  code: '',
  sent: true,
  ...part,
});
const failed = (words: string): Partial<Answer> => ({
  status: 500,
  body: `checkpointing of default/test-pod/nginx failed (${words})`,
});
const unknown = 'rpc error: code = Unknown desc = ';

/** What kubelets, containerd and CRI-O say, and what becomes of it. */
const examples: [string, Partial<Answer>, Reason, RegExp, RegExp][] = [
  [
    'nobody listens',
    { code: 'ECONNREFUSED' },
    'KubeletUnreachable',
    /nothing listens at 10\.0\.0\.7:10250/,
    /systemctl status kubelet/,
  ],
  [
    'no way there',
    { code: 'EHOSTUNREACH', body: 'connect EHOSTUNREACH' },
    'KubeletUnreachable',
    /cannot be reached at/,
    /--kubelet-address/,
  ],
  [
    'no connection in time',
    { code: 'ETIMEDOUT', body: 'no connection in time' },
    'KubeletUnreachable',
    /no connection in time/,
    /--kubelet-address/,
  ],
  [
    'cut off',
    { code: 'ECONNRESET', body: 'socket hang up' },
    'KubeletUnreachable',
    /closed the connection/,
    /journalctl -u kubelet/,
  ],
  [
    'no answer in time',
    { code: 'ABORT_ERR' },
    'TimedOut',
    /did not answer within 120 seconds/,
    /timeoutSeconds/,
  ],
  [
    'plain HTTP',
    { code: 'ERR_SSL_WRONG_VERSION_NUMBER', body: 'wrong version number' },
    'KubeletUnreachable',
    /does not speak TLS/,
    /--kubelet-address/,
  ],
  [
    'unknown signer',
    { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    'KubeletUntrusted',
    /neither the kubelet’s own/,
    /--kubelet-ca.*kubelet\.crt/,
  ],
  [
    'unknown issuer',
    { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' },
    'KubeletUntrusted',
    /neither the kubelet’s own/,
    /--kubelet-ca/,
  ],
  ['expired', { code: 'CERT_HAS_EXPIRED' }, 'KubeletUntrusted', /has expired/, /Renew it/],
  ['from the future', { code: 'CERT_NOT_YET_VALID' }, 'KubeletUntrusted', /is not valid yet/, /clocks/],
  [
    'another node’s',
    { code: 'ERR_TLS_CERT_ALTNAME_INVALID', body: 'cert’s altnames' },
    'KubeletUntrusted',
    /for neither node worker/,
    /--kubelet-ca/,
  ],
  [
    'refused in the handshake',
    { code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CERTIFICATE' },
    'KubeletUnauthorized',
    /refused the token/,
    /--kubelet-client-cert/,
  ],
  [
    'a broken key',
    { code: 'BAD_CREDENTIAL', body: 'key values mismatch' },
    'KubeletUnauthorized',
    /cannot be used/,
    /--kubelet-client-key/,
  ],
  [
    '401',
    { status: 401, body: 'Unauthorized' },
    'KubeletUnauthorized',
    /does not know the token in \/token \(401\)/,
    /webhook/,
  ],
  [
    '403 for nobody',
    {
      status: 403,
      body: 'Forbidden (user=system:anonymous, verb=create, resource=nodes, subresource(s)=[checkpoint])',
    },
    'KubeletUnauthorized',
    /nobody’s/,
    /webhook/,
  ],
  [
    '403',
    {
      status: 403,
      body: 'Forbidden (user=system:serviceaccount:s:agent, verb=create, resource=nodes, subresource(s)=[checkpoint])',
    },
    'KubeletForbidden',
    /\(system:serviceaccount:s:agent\), who may not create nodes\/checkpoint/,
    /create on nodes\/checkpoint/,
  ],
  [
    'no such pod',
    { status: 404, body: 'pod does not exist' },
    'PodNotFound',
    /has no such pod/,
    /kubectl get pod/,
  ],
  [
    'no such container',
    { status: 404, body: 'container ngnix does not exist' },
    'ContainerNotFound',
    /no such container/,
    /must match exactly/,
  ],
  [
    'bad timeout',
    { status: 404, body: 'cannot parse value of timeout parameter' },
    'KubeletFailed',
    /timeout/,
    /timeoutSeconds/,
  ],
  [
    'gate off',
    { status: 404, body: '404 page not found' },
    'KubeletCheckpointDisabled',
    /404 page not found/,
    /1\.25.*ContainerCheckpoint/,
  ],
  [
    'no POST',
    { status: 405, body: '405: Method Not Allowed' },
    'KubeletFailed',
    /takes no POST/,
    /--kubelet-address/,
  ],
  ['too busy', { status: 429 }, 'KubeletUnreachable', /too much to do/, /later/],
  ['not ready', { status: 503 }, 'KubeletUnreachable', /not ready/, /ready/],
  [
    'not running',
    failed('container nginx not found'),
    'PodNotRunning',
    /it is not running/,
    /kubectl get pod/,
  ],
  [
    'CRI-O without CRIU support',
    failed(`${unknown}checkpoint/restore support not available`),
    'RuntimeNotSupported',
    /CRIU support switched off/,
    /enable_criu_support = true/,
  ],
  [
    'old containerd',
    failed('rpc error: code = Unimplemented desc = method CheckpointContainer not implemented'),
    'RuntimeNotSupported',
    /cannot make checkpoints/,
    /containerd 2\.0/,
  ],
  [
    'no CRIU',
    failed(`${unknown}CRIU binary not found or too old (<31600). Failed to checkpoint container "1"`),
    'CriuMissing',
    /no usable CRIU/,
    /apt-get install -y criu/,
  ],
  [
    'CRIU not in the PATH',
    failed(`${unknown}exec: "criu": executable file not found in $PATH`),
    'CriuMissing',
    /no usable CRIU/,
    /criu check/,
  ],
  [
    'CRIU fails',
    failed(
      `${unknown}checkpointing container failed: runc did not terminate successfully: criu failed: type DUMP errno 0: log file: /run/dump.log`,
    ),
    'CriuDumpFailed',
    /CRIU failed/,
    /dump\.log/,
  ],
  [
    'disk full',
    failed(`${unknown}write /var/lib/kubelet/checkpoints/c.tar: no space left on device`),
    'NoSpace',
    /no room left/,
    /Make room/,
  ],
  [
    'names too long',
    failed(`${unknown}open /var/lib/kubelet/checkpoints/c.tar: file name too long`),
    'KubeletFailed',
    /more than 255/,
    /via: Agent/,
  ],
  [
    'too slow',
    failed('rpc error: code = DeadlineExceeded desc = context deadline exceeded'),
    'TimedOut',
    /not done in time/,
    /timeoutSeconds/,
  ],
  [
    'runtime away',
    failed('rpc error: code = Unavailable desc = connection error'),
    'RuntimeUnavailable',
    /does not reach its container runtime/,
    /containerd or CRI-O/,
  ],
  ['anything else', failed('something new'), 'KubeletFailed', /answered 500: .*something new/, /journalctl/],
  ['200 without an archive', { status: 200, body: '<html>' }, 'KubeletFailed', /answered 200/, /journalctl/],
];

for (const [name, part, reason, why, hint] of examples) {
  test(`the kubelet’s answer "${name}" is told with its reason and what to do`, () => {
    const outcome = outcomeOf([anAnswer(part)], subject);
    assert.ok('error' in outcome);
    assert.equal(outcome.error.reason, reason);
    assert.match(
      outcome.error.message,
      /^Container nginx of pod default\/test-pod was not checkpointed: .*\.$/s,
    );
    assert.match(outcome.error.message, why);
    assert.match(outcome.error.hint, hint);
  });
}

test('every row of the table has an example', () => {
  const seen = new Set(examples.map(([, part]) => rowOf(anAnswer(part))));
  assert.deepEqual(
    OUTCOMES.filter((row) => !seen.has(row)),
    [],
  );
});

test('the archive of a good answer is taken from it', () => {
  const body = '{"items":["/var/lib/kubelet/checkpoints/c.tar"]}';
  assert.deepEqual(outcomeOf([anAnswer({ status: 200, body })], subject), {
    archive: '/var/lib/kubelet/checkpoints/c.tar',
  });
});

test('what was tried before is told too', () => {
  const answers = [
    anAnswer({ status: 401 }),
    anAnswer({ status: 401, credential: 'the client certificate /a.crt' }),
  ];
  const outcome = outcomeOf(answers, subject);
  assert.ok('error' in outcome);
  assert.match(
    outcome.error.message,
    /does not know the client certificate \/a\.crt.*the token in \/token either/,
  );
  assert.match(
    nothingToShow(['there is no /token'], subject).message,
    /the agent of node worker has nothing .*\(there is no \/token\)/,
  );
});

test('only a request that was sent and not answered may have had its effect', () => {
  assert.ok(isUnsettled(anAnswer({ code: 'ECONNRESET' })));
  assert.ok(!isUnsettled(anAnswer({ code: 'ECONNREFUSED', sent: false })));
  assert.ok(!isUnsettled(anAnswer({ status: 500 })));
});
