/** What a well-known Debian package brings, beyond a command, a unit and a folder in /etc of its own name. */
interface Brings {
  readonly commands?: readonly string[]
  readonly units?: readonly string[]
  readonly accounts?: readonly string[]
  readonly folders?: readonly string[]
}

const python: Brings = { commands: ['python3'] }
const php: Brings = { commands: ['php'] }
const nginx: Brings = { commands: ['nginx'], units: ['nginx'], folders: ['/etc/nginx'] }
const mysql: Brings = {
  commands: ['mysql', 'mysqladmin', 'mysqldump', 'mariadb', 'mariadb-admin', 'mariadb-dump'],
  units: ['mysql', 'mariadb'],
  accounts: ['mysql'],
  folders: ['/etc/mysql', '/var/lib/mysql'],
}
const docker: Brings = { commands: ['docker'], units: ['docker'], accounts: ['docker'], folders: ['/etc/docker'] }
const java: Brings = { commands: ['java'] }

const wellKnown: Readonly<Record<string, Brings>> = {
  apache2: { commands: ['a2enmod', 'a2ensite', 'a2dissite', 'a2enconf', 'apachectl', 'apache2ctl'] },
  'apache2-utils': { commands: ['ab', 'htpasswd'] },
  awscli: { commands: ['aws'] },
  bind9: { units: ['named'], accounts: ['bind'], folders: ['/etc/bind'] },
  'build-essential': { commands: ['gcc', 'g++', 'cc', 'c++', 'make'] },
  certbot: { folders: ['/etc/letsencrypt'] },
  chrony: { commands: ['chronyc', 'chronyd'], accounts: ['_chrony'] },
  'containerd.io': { commands: ['containerd', 'ctr'], units: ['containerd'] },
  containerd: { commands: ['ctr'] },
  'default-jdk': { commands: ['java', 'javac'] },
  'default-jdk-headless': { commands: ['java', 'javac'] },
  'default-jre': java,
  'default-jre-headless': java,
  'default-mysql-server': mysql,
  'default-mysql-client': { commands: ['mysql', 'mysqldump', 'mariadb'] },
  'docker-ce': docker,
  'docker-ce-cli': { commands: ['docker'] },
  'docker.io': docker,
  elasticsearch: { accounts: ['elasticsearch'] },
  fail2ban: { commands: ['fail2ban-client'] },
  'g++': { commands: ['g++', 'c++'] },
  gcc: { commands: ['gcc', 'cc'] },
  gnupg: { commands: ['gpg'] },
  golang: { commands: ['go', 'gofmt'] },
  'golang-go': { commands: ['go', 'gofmt'] },
  grafana: { commands: ['grafana-cli'], units: ['grafana-server'], accounts: ['grafana'] },
  haproxy: { accounts: ['haproxy'] },
  'iptables-persistent': { commands: ['netfilter-persistent'] },
  'mariadb-client': { commands: ['mysql', 'mysqldump', 'mariadb', 'mariadb-dump'] },
  'mariadb-server': mysql,
  memcached: { accounts: ['memcache'] },
  'mysql-server': mysql,
  'netcat-openbsd': { commands: ['nc'] },
  'nfs-common': { commands: ['mount.nfs'] },
  nginx,
  'nginx-core': nginx,
  'nginx-extras': nginx,
  'nginx-full': nginx,
  'nginx-light': nginx,
  nodejs: { commands: ['node'] },
  openssl: { commands: ['openssl'] },
  'openssh-server': { commands: ['sshd'], units: ['ssh', 'sshd'] },
  'php-cli': php,
  'php-fpm': php,
  podman: { folders: ['/etc/containers'] },
  postfix: { commands: ['postconf', 'postmap', 'postqueue'], accounts: ['postfix'] },
  postgresql: { commands: ['psql', 'createdb', 'createuser', 'pg_ctlcluster'], accounts: ['postgres'] },
  'postgresql-client': { commands: ['psql', 'pg_dump'] },
  prometheus: { commands: ['promtool'], accounts: ['prometheus'] },
  'prometheus-node-exporter': { units: ['prometheus-node-exporter'] },
  python3: python,
  'python3-pip': { commands: ['pip', 'pip3'] },
  'python3-venv': python,
  'rabbitmq-server': {
    commands: ['rabbitmqctl', 'rabbitmq-plugins'],
    accounts: ['rabbitmq'],
    folders: ['/etc/rabbitmq'],
  },
  redis: { commands: ['redis-cli', 'redis-server'], units: ['redis-server', 'redis'], accounts: ['redis'] },
  'redis-server': { commands: ['redis-cli'], units: ['redis'], accounts: ['redis'], folders: ['/etc/redis'] },
  'redis-tools': { commands: ['redis-cli'] },
  ruby: { commands: ['gem'] },
  sqlite3: {},
  supervisor: { commands: ['supervisorctl', 'supervisord'] },
  tomcat10: { accounts: ['tomcat'] },
  'unattended-upgrades': { commands: ['unattended-upgrade'] },
  varnish: { commands: ['varnishd', 'varnishadm'] },
  'wireguard-tools': { commands: ['wg', 'wg-quick'], folders: ['/etc/wireguard'] },
  'xz-utils': { commands: ['xz', 'unxz'] },
}

/** In every Debian system that hosts start from: whoever installs them again gives nobody anything. */
const always: ReadonlySet<string> = new Set([
  ...['apt', 'bash', 'ca-certificates', 'cloud-init', 'coreutils', 'dash', 'debianutils', 'dpkg', 'findutils', 'grep'],
  ...[
    'gzip',
    'hostname',
    'iproute2',
    'login',
    'mount',
    'passwd',
    'procps',
    'sed',
    'systemd',
    'tar',
    'udev',
    'util-linux',
  ],
])

/** What a package brings, as far as its name tells. `name` may have an architecture and a version. */
export function broughtBy(name: string): Required<Brings> {
  const plain = name.replace(/[:=].*$/, '')
  if (always.has(plain)) return { commands: [], units: [], accounts: [], folders: [] }
  const own = Object.hasOwn(wellKnown, plain) ? wellKnown[plain] : undefined
  return {
    commands: [plain, ...(own?.commands ?? [])],
    units: [plain, ...(own?.units ?? [])],
    accounts: own?.accounts ?? [],
    folders: [`/etc/${plain}`, ...(own?.folders ?? [])],
  }
}
