-- XMPP for clients: STARTTLS before anything else.
daemonize = false
pidfile = "@DIR@/pid"
data_path = "@DIR@/data"
certificates = "@PKI@"
prosody_user = "@RUNUSER@"
interfaces = { "@ADDRESS@" }
c2s_ports = { @PORT_XMPP@ }
s2s_ports = { }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping" }
modules_disabled = { "s2s", "http" }
c2s_require_encryption = true
authentication = "internal_plain"
allow_unencrypted_plain_auth = false
log = { info = "@DIR@/prosody.log" }
ssl = { certificate = "@PKI@/server-chain.pem", key = "@PKI@/server.key" }
VirtualHost "localhost"
