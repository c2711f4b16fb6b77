import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyFromEnv } from './env-proxy.js';

const PROXY = 'http://proxy:3128';
const by = (server: string, noProxy = '') =>
  proxyFromEnv(server, { HTTPS_PROXY: PROXY, NO_PROXY: noProxy }) === PROXY;

test('a server is asked through the proxy of its protocol, whose name may be in lower case or without http://', () => {
  assert.ok(by('https://k8s.example.com:6443'));
  assert.equal(proxyFromEnv('http://k8s.example.com', { HTTPS_PROXY: PROXY }), undefined);
  assert.equal(proxyFromEnv('http://k8s.example.com', { http_proxy: 'proxy:3128' }), PROXY);
  assert.equal(proxyFromEnv('https://k8s.example.com', { https_proxy: 'socks5://p:1' }), 'socks5://p:1');
  assert.equal(proxyFromEnv('https://k8s.example.com', {}), undefined);
  assert.equal(proxyFromEnv('no URL', { HTTPS_PROXY: PROXY }), undefined);
});

test('this machine itself is never asked through a proxy', () => {
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]'])
    assert.ok(!by(`https://${host}:6443`), host);
});

test('what NO_PROXY names is asked directly', () => {
  const cases: [noProxy: string, server: string, direct: boolean][] = [
    ['*', 'https://k8s.example.com', true],
    ['example.com', 'https://k8s.example.com', true],
    ['example.com', 'https://example.com', true],
    ['.example.com', 'https://k8s.example.com', true],
    ['*.example.com', 'https://k8s.example.com', true],
    ['.example.com', 'https://example.com', false],
    ['example.com', 'https://otherexample.com', false],
    ['other.org, Example.com ', 'https://K8S.example.com', true],
    ['example.com:6443', 'https://k8s.example.com:6443', true],
    ['example.com:443', 'https://k8s.example.com', true],
    ['example.com:6443', 'https://k8s.example.com', false],
    ['10.0.0.1', 'https://10.0.0.1:6443', true],
    ['10.0.0.1:443', 'https://10.0.0.1:6443', false],
    ['10.0.0.0/8', 'https://10.9.8.7:6443', true],
    ['10.0.0.0/8', 'https://11.9.8.7:6443', false],
    ['10.0.0.0/8', 'https://k8s.example.com', false],
    ['fd00::/8', 'https://[fd00::7]:6443', true],
    ['fd00::7', 'https://[fd00::7]:6443', true],
    ['10.0.0.0/99', 'https://10.0.0.1', false],
    ['', 'https://k8s.example.com', false],
  ];
  for (const [noProxy, server, direct] of cases) {
    assert.equal(!by(server, noProxy), direct, `${server} with NO_PROXY=${noProxy}`);
  }
});
