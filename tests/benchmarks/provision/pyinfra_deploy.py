# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server of the web server profile, built with pyinfra's own operations: ``pyinfra INVENTORY pyinfra_deploy.py``.

What pyinfra has no operation for (commit-confirm, a check from outside, key and certificate renewal) is left out, which
is to its advantage.
"""

from __future__ import annotations

from io import StringIO

from pyinfra.context import host
from pyinfra.facts.files import File
from pyinfra.facts.server import LinuxDistribution
from pyinfra.operations import apt, files, mysql, server, systemd

DOMAIN = host.data.get("bench_domain")
RELEASE = host.get_fact(LinuxDistribution)["major"]
PHP = {12: "8.2", 13: "8.4"}[int(RELEASE)]
HTTP2 = " http2" if int(RELEASE) < 13 else ""
CERTIFICATE, KEY = f"/etc/ssl/certs/{DOMAIN}.pem", f"/etc/ssl/private/{DOMAIN}.key"

CERTIFY = (
    "umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 397 "
    f"-keyout {KEY} -out {CERTIFICATE} -subj /CN={DOMAIN} -addext subjectAltName=DNS:{DOMAIN}"
)

SITE = f"""
server {{
    listen 80;
    listen [::]:80;
    server_name {DOMAIN};
    return 301 https://$host$request_uri;
}}
server {{
    listen 443 ssl{HTTP2};
    listen [::]:443 ssl{HTTP2};
    server_name {DOMAIN};
    root /var/www/{DOMAIN}/public;
    index index.php index.html;
    ssl_certificate {CERTIFICATE};
    ssl_certificate_key {KEY};
    ssl_protocols TLSv1.2 TLSv1.3;
    add_header Strict-Transport-Security "max-age=31536000" always;
    location ~ \\.php$ {{
        try_files $fastcgi_script_name =404;
        include fastcgi.conf;
        fastcgi_pass unix:/run/php/{DOMAIN}.sock;
    }}
}}
"""

POOL = f"""
[{DOMAIN}]
user = www-data
group = www-data
listen = /run/php/{DOMAIN}.sock
listen.owner = www-data
listen.group = www-data
pm = ondemand
pm.max_children = 10
"""

RULES = """#!/usr/sbin/nft -f
table inet bench
delete table inet bench
table inet bench {
    chain input {
        type filter hook input priority filter; policy drop;
        iif lo accept
        ct state established,related accept
        meta l4proto { 1, 58 } accept
        tcp dport { 22, 80, 443 } accept
    }
}
"""

SSH = "PermitRootLogin prohibit-password\nPasswordAuthentication no\nX11Forwarding no\nMaxAuthTries 4\n"

server.hostname(name="Host name", hostname=DOMAIN, hostname_file="/etc/hostname")
files.line(name="Hosts file", path="/etc/hosts", line=f"127.0.1.1 {DOMAIN}")
apt.packages(
    name="Packages",
    packages=[
        *("nginx", "php-fpm", "php-mysql", "mariadb-server", "nftables", "openssl", "tzdata", "logrotate"),
        "unattended-upgrades",
    ],
    update=True,
    cache_time=3600,
    no_recommends=True,
)
files.link(name="Time zone", path="/etc/localtime", target="/usr/share/zoneinfo/Etc/UTC")
for key in ("accept_redirects", "send_redirects", "accept_source_route"):
    server.sysctl(name=f"Kernel parameter {key}", key=f"net.ipv4.conf.all.{key}", value=0, persist=True)
server.user(name="Operator", user="operator1", shell="/bin/bash", public_keys=[host.data.get("bench_public_key")])
files.directory(name="Site directory", path=f"/var/www/{DOMAIN}/public", mode="755")
files.put(
    name="First page", src=StringIO("<?php echo 'ready';\n"), dest=f"/var/www/{DOMAIN}/public/index.php", mode="644"
)
if host.get_fact(File, path=CERTIFICATE) is None:
    server.shell(
        name="Certificate",
        commands=[CERTIFY],
    )
site = files.put(name="Site", src=StringIO(SITE), dest=f"/etc/nginx/sites-enabled/{DOMAIN}.conf", mode="644")
default = files.link(name="Default site", path="/etc/nginx/sites-enabled/default", present=False)
pool = files.put(name="Pool", src=StringIO(POOL), dest=f"/etc/php/{PHP}/fpm/pool.d/{DOMAIN}.conf", mode="644")
rules = files.put(name="Firewall rules", src=StringIO(RULES), dest="/etc/nftables.conf", mode="644")
ssh = files.put(name="ssh server", src=StringIO(SSH), dest="/etc/ssh/sshd_config.d/00-bench.conf", mode="644")
files.put(
    name="Log rotation",
    src=StringIO("/var/log/php-fpm/*.log {\n    daily\n    rotate 14\n    missingok\n}\n"),
    dest="/etc/logrotate.d/site",
    mode="644",
)
files.put(
    name="Security updates",
    src=StringIO('APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n'),
    dest="/etc/apt/apt.conf.d/20auto-upgrades",
    mode="644",
)
for unit in ("nginx", f"php{PHP}-fpm", "mariadb", "nftables"):
    systemd.service(name=f"Service {unit}", service=unit, running=True, enabled=True)
systemd.service(
    name="Reload nginx", service="nginx", reloaded=True, _if=lambda: site.did_change() or default.did_change()
)
systemd.service(name="Reload php-fpm", service=f"php{PHP}-fpm", reloaded=True, _if=pool.did_change)
systemd.service(name="Reload nftables", service="nftables", reloaded=True, _if=rules.did_change)
systemd.service(name="Reload ssh", service="ssh", reloaded=True, _if=ssh.did_change)
mysql.database(name="Database", database="app", charset="utf8mb4")
mysql.user(name="Database user", user="app", user_hostname="localhost", password="bench-app")
mysql.privileges(name="Grants", user="app", user_hostname="localhost", privileges=["ALL"], database="app")
