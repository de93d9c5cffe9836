# A note about the host.
class note {
  file { '/etc/puppet-was-here':
    content => "${facts['role']} on ${facts['os']['family']}",
  }
}
