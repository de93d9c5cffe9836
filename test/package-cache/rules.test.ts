import { describe, expect, test } from 'vitest'
import { endToEnd, immutableAt, keepableLength, mayKeepAnswer, mayUseCopy } from '../../src/package-cache/cacheable.ts'
import { isAllowed, refusalOf, upstreamProxy } from '../../src/package-cache/target.ts'

const hex = 'a'.repeat(64)

describe('immutableAt', () => {
  test.each([
    ['/debian/pool/main/h/hello/hello_2.10-3_amd64.deb', {}],
    ['/debian/pool/main/h/hello/hello_2.10-3_amd64.udeb', {}],
    ['/ubuntu/pool/h/hello-dbgsym_1_amd64.ddeb', {}],
    [`/debian/dists/bookworm/main/binary-amd64/by-hash/SHA256/${hex}`, { sha256: hex }],
    ['/fedora/Packages/h/hello-2.10-1.x86_64.rpm', {}],
    ['/alpine/v3.20/main/x86_64/hello-2.10-r0.apk', {}],
    ['/debian/dists/bookworm/InRelease', undefined],
    ['/debian/dists/bookworm/main/binary-amd64/Packages.xz', undefined],
    [`/debian/dists/bookworm/main/by-hash/MD5Sum/${'a'.repeat(32)}`, undefined],
    [`/x/by-hash/SHA256/${hex}/more`, undefined],
    ['/flat/hello.deb', undefined],
    ['/debian/pool/main/h/hello/hello_2.10-3.dsc', undefined],
    ['/debian/pool/main/h/hello/hello_2.10-3_amd64.deb?token=1', undefined],
    ['/latest.html', undefined],
  ])('%s', (path, expected) => {
    expect(immutableAt(new URL(`http://deb.example${path}`))).toEqual(expected)
  })
})

describe('requests and answers', () => {
  test.each([
    ['GET', {}, true, true],
    ['HEAD', {}, true, false],
    ['GET', { range: 'bytes=5-' }, true, false],
    ['GET', { 'if-modified-since': 'x' }, true, false],
    ['GET', { authorization: 'Basic x' }, false, false],
    ['GET', { cookie: 'a=b' }, false, false],
    ['POST', {}, false, false],
  ])('%s %j may use a copy: %s, may make one: %s', (method, headers, use, keep) => {
    expect([mayUseCopy(method, headers), mayKeepAnswer(method, headers)]).toEqual([use, keep])
  })

  test.each([
    [200, { 'content-length': '5' }, 5],
    [200, { 'content-length': '0' }, 0],
    [200, {}, undefined],
    [200, { 'content-length': '-1' }, undefined],
    [206, { 'content-length': '5' }, undefined],
    [302, { 'content-length': '5' }, undefined],
    [404, { 'content-length': '5' }, undefined],
    [200, { 'content-length': '5', 'content-encoding': 'gzip' }, undefined],
    [200, { 'content-length': '5', 'set-cookie': ['a=b'] }, undefined],
  ])('%d %j', (status, headers, expected) => {
    expect(keepableLength(status, headers)).toBe(expected)
  })

  test('what is about one connection is not passed on', () => {
    expect(
      endToEnd({
        ...{ 'if-modified-since': 'x', 'cache-control': 'max-age=0', 'set-cookie': ['a', 'b'], gone: undefined },
        ...{ connection: 'keep-alive, X-Mine', 'x-mine': '1', te: 'x', 'proxy-authorization': 'Basic x' },
      }),
    ).toEqual({ 'if-modified-since': 'x', 'cache-control': 'max-age=0', 'set-cookie': ['a', 'b'] })
  })
})

describe('targets', () => {
  const rules = { allowLoopback: false, ownAddresses: () => ['192.168.1.5', 'fd12::5'] }

  test.each([
    ['151.101.2.132', true],
    ['192.168.1.6', true],
    ['10.0.0.1', true],
    ['2a04:4e42::644', true],
    ['127.0.0.1', false],
    ['127.8.8.8', false],
    ['0.0.0.0', false],
    ['169.254.169.254', false],
    ['100.100.100.200', false],
    ['168.63.129.16', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['192.168.1.5', false],
    ['::1', false],
    ['::', false],
    ['fe80::1', false],
    ['fd00:ec2::254', false],
    ['fd12::5', false],
    ['::ffff:127.0.0.1', false],
    ['::ffff:169.254.169.254', false],
    ['::ffff:192.168.1.5', false],
  ])('%s is allowed: %s', (address, expected) => {
    expect(isAllowed(address, rules)).toBe(expected)
  })

  test('loopback is for tests', () => {
    expect(isAllowed('127.0.0.1', { ...rules, allowLoopback: true })).toBe(true)
    expect(isAllowed('169.254.169.254', { ...rules, allowLoopback: true })).toBe(false)
  })

  test.each([
    ['http://deb.debian.org/x', undefined],
    ['http://deb.debian.org:80/x', undefined],
    ['http://[2a04:4e42::644]/x', undefined],
    ['http://deb.debian.org:8080/x', 'only port 80 is reached from here'],
    ['https://deb.debian.org/x', 'only http:// URLs are fetched here'],
    ['ftp://deb.debian.org/x', 'only http:// URLs are fetched here'],
    ['http://u:p@deb.debian.org/x', 'URLs with credentials are not fetched here'],
    ['http://127.0.0.1/x', '127.0.0.1 is not reached from here'],
    ['http://0x7f.1/x', '127.0.0.1 is not reached from here'],
    ['http://2852039166/latest/meta-data/', '169.254.169.254 is not reached from here'],
    ['http://[::1]/x', '::1 is not reached from here'],
    ['http://[::ffff:169.254.169.254]/x', '::ffff:a9fe:a9fe is not reached from here'],
    ['http://localhost/x', 'localhost is not reached from here'],
    ['http://a.localhost./x', 'a.localhost. is not reached from here'],
    ['http://metadata.google.internal/x', 'metadata.google.internal is not reached from here'],
  ])('%s: %s', (url, expected) => {
    expect(refusalOf(new URL(url), rules)).toBe(expected)
  })
})

describe('upstreamProxy', () => {
  test.each([
    [{}, undefined],
    [{ http_proxy: '' }, undefined],
    [{ http_proxy: 'http://proxy:3128' }, 'http://proxy:3128/'],
    [{ http_proxy: 'proxy:3128' }, 'http://proxy:3128/'],
    [{ HTTP_PROXY: 'http://proxy:3128' }, 'http://proxy:3128/'],
    [{ http_proxy: 'http://proxy', no_proxy: '*' }, undefined],
    [{ http_proxy: 'http://proxy', no_proxy: 'localhost, debian.org' }, undefined],
    [{ http_proxy: 'http://proxy', no_proxy: '.debian.org' }, undefined],
    [{ http_proxy: 'http://proxy', no_proxy: '*.debian.org' }, undefined],
    [{ http_proxy: 'http://proxy', no_proxy: 'ian.org' }, 'http://proxy/'],
    [{ http_proxy: 'http://proxy', no_proxy: ',' }, 'http://proxy/'],
  ])('%j', (env, expected) => {
    expect(upstreamProxy(new URL('http://deb.debian.org/x'), env)?.href).toBe(expected)
  })
})
