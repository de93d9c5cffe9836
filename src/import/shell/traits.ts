/** A line of a script that decides when its step runs. */
export interface Trait {
  /** From 1. */
  readonly line: number
  /** `host`: it differs from host to host; `boot`: its effect ends with the boot. */
  readonly kind: 'host' | 'boot'
  readonly why: string
}

interface Rule {
  readonly kind: Trait['kind']
  readonly pattern: RegExp
  readonly why: string
}

const start = String.raw`(?:^|[;&|({!]|\bthen\b|\bdo\b|\belse\b|\bsudo\b)\s*`
const command = (words: string) => new RegExp(`${start}(?:${words})`)

/** The first that fits a line counts. */
const rules: readonly Rule[] = [
  {
    kind: 'host',
    pattern: /169\.254\.169\.254|metadata\.google\.internal|fd00:ec2::254|\bec2-?metadata\b|100\.100\.100\.200/,
    why: "asks the cloud's metadata service",
  },
  {
    kind: 'host',
    pattern: /\bcloud-init\s+query\b|\/run\/cloud-init\/|\/var\/lib\/cloud\/(?:data|instance)|\$\{?INSTANCE_ID\b/,
    why: 'asks cloud-init who the host is',
  },
  {
    kind: 'host',
    pattern:
      /\$\{?HOSTNAME\b|\$\(\s*hostname\b|`\s*hostname\b|\bhostname\s+-[a-zI]|\buname\s+-n\b|\/etc\/hostname|\/proc\/sys\/kernel\/hostname|\bhostnamectl\b/,
    why: "uses the host's name or address",
  },
  {
    kind: 'host',
    pattern: /\/etc\/machine-id|\/sys\/class\/dmi|\bdmidecode\b/,
    why: 'uses what identifies the machine',
  },
  {
    kind: 'host',
    pattern:
      /\bip\s+(?:-\S+\s+)*(?:a|addr|address|route|r)\b(?!\s+(?:add|del))|\bifconfig\b|checkip\.|ifconfig\.me|icanhazip|api\.ipify/,
    why: "uses the host's address",
  },
  {
    kind: 'host',
    pattern:
      /\bopenssl\s+(?:rand|genrsa|genpkey|req)\b|\/dev\/u?random|\/random\/uuid|\buuidgen\b|\bpwgen\b|\bssh-keygen\b|\bmakepasswd\b|\bapg\b|\$\{?RANDOM\b/,
    why: 'makes what must differ from host to host',
  },
  {
    kind: 'boot',
    pattern: command(
      String.raw`sysctl\s+(?:-\w*w|--write|-q\s+-w)|modprobe\b|insmod\b|mount\b|swapon\b|iptables\b(?!-)|ip6tables\b(?!-)|nft\b|ip\s+(?:link|addr|route|rule)\s+(?:add|set|del)|tc\s|setenforce\b|docker\s+(?:run|start)\b|podman\s+(?:run|start)\b|nohup\b|setsid\b|screen\b|tmux\b|start-stop-daemon\b`,
    ),
    why: 'its effect ends with the boot',
  },
  {
    kind: 'boot',
    pattern: />\s*\/(?:proc|sys)\/|\btee\s+(?:-a\s+)?\/(?:proc|sys)\//,
    why: 'its effect ends with the boot',
  },
  { kind: 'boot', pattern: /[^&>|]&\s*$/, why: 'leaves a program running, which an image does not start' },
]

const startsService = new RegExp(
  `${start}(?:systemctl\\s+(?:--\\S+\\s+)*start\\s+(\\S+)|service\\s+(\\S+)\\s+start|/etc/init\\.d/(\\S+)\\s+start)`,
)

/**
 * Lines that keep a script from being baked. `installed` is a text that holds the names of all packages that are installed:
 * Debian starts their services at every boot by itself.
 */
export function traitsOf(text: string, installed: string): readonly Trait[] {
  return text.split('\n').flatMap((line, index): readonly Trait[] => {
    if (/^\s*#/.test(line)) return []
    const rule = rules.find(({ pattern }) => pattern.test(line))
    if (rule !== undefined) return [{ line: index + 1, kind: rule.kind, why: rule.why }]
    const service = startsService.exec(line)
    const name = (service?.[1] ?? service?.[2] ?? service?.[3])?.replace(/\.service$|["']/g, '')
    if (name === undefined || comesUpByItself(name, installed)) return []
    return [{ line: index + 1, kind: 'boot', why: `starts ${name}, which nothing here starts at later boots` }]
  })
}

function comesUpByItself(service: string, texts: string): boolean {
  const name = service.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  const enables = new RegExp(String.raw`\benable\b[^\n]*\b${name}\b|update-rc\.d\s+${name}\b|\b${name}\s+on\b`)
  const installs = new RegExp(
    String.raw`\binstall\b[^;&|]*(?<![\w/.-])${name}(?:-(?:server|ce|light|core|full))?(?![\w.-])`,
  )
  return enables.test(texts) || installs.test(texts)
}
