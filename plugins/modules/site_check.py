#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site_check
short_description: Prove from outside that web sites answer and that ports are open or closed
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Connects from the controller to a host and proves what its users will see. It checks the certificate, the redirect
    to https, HSTS, HTTP/2, the oldest TLS version, that PHP executes, and which ports are open and closed.
  - Runs on the controller only and makes no remote call. All checks run at the same time.
  - Names are not looked up. It connects to O(address) and names the domain (SNI and C(Host)), so a site is checked
    before its DNS record exists.
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
attributes:
  check_mode:
    support: partial
    details: Skipped in check mode, since the changes that would make the checks hold have not been made.
  diff_mode:
    support: N/A
    details: It changes nothing.
  platform:
    platforms: any host that is reached over TCP
options:
  address:
    description:
      - The name or IP address to connect to.
      - By default C(ansible_host) or the inventory name. V(127.0.0.1) where the connection is local, and there closed
        ports can't be proved, because a firewall does not show from the host itself.
    type: str
  sites:
    description: Web sites and what is expected of them.
    type: list
    elements: dict
    default: []
    suboptions:
      domain:
        description: The domain name of the site.
        type: str
        required: true
      https:
        description:
          - The site answers over https. If V(false), only O(sites[].status) and O(sites[].php_path) are checked, over
            http.
        type: bool
        default: true
      https_port:
        description: The port of https.
        type: int
        default: 443
      http_port:
        description: The port of http.
        type: int
        default: 80
      path:
        description: The URL path that is asked for.
        type: str
        default: /
      status:
        description: The HTTP status with which O(sites[].path) has to answer.
        type: int
        default: 200
      fingerprint_sha256:
        description: The SHA-256 of the certificate, in hexadecimal digits with or without colons.
        type: str
      ca_pem:
        description:
          - Certificates in PEM that the chain has to end in.
          - Without it and O(sites[].ca_path), the certificate's name and dates are verified, but not its issuer.
        type: str
      ca_path:
        description: A file on the controller with such certificates.
        type: path
      http_redirect:
        description: Plain http has to answer with 301 or 308 to the same path over https.
        type: bool
        default: true
      hsts:
        description: The least C(max-age) of C(Strict-Transport-Security) in seconds; V(0) does not check it.
        type: int
        default: 0
      http2:
        description: The server has to choose HTTP/2 when it is offered.
        type: bool
        default: true
      min_tls:
        description:
          - The oldest TLS version that the server may speak; the one before has to be refused.
          - Where the TLS library of the controller can't speak that one, this is reported as not tested.
        type: str
        choices: ["1.0", "1.1", "1.2", "1.3"]
        default: "1.2"
      php_path:
        description:
          - The URL path of a script that prints the SHA-256 of the query parameter C(nonce) in hexadecimal digits and a
            newline.
          - The nonce is new each time, so a right answer proves that PHP executes now.
        type: str
  open_ports:
    description: TCP ports that have to accept connections.
    type: list
    elements: int
    default: []
  closed_ports:
    description:
      - TCP ports that must not accept connections.
      - Silence counts only where the host answers on some other port.
    type: list
    elements: int
    default: []
  timeout:
    description: Seconds for each connection; a port that has to be closed is given 1 at most.
    type: float
    default: 5.0
  wait:
    description: Seconds during which failing checks are repeated, for services that have just been started.
    type: float
    default: 10.0
"""

EXAMPLES = r"""
- name: The site answers over https with the certificate of the company's authority
  scripts.toolkit.site_check:
    sites:
      - domain: www.example.com
        ca_path: files/company-ca.pem
        hsts: 31536000
        php_path: /health.php

- name: Only the web server and ssh are reachable
  scripts.toolkit.site_check:
    open_ports: [22, 80, 443]
    closed_ports: [3306, 6379]
"""

RETURN = r"""
address:
  description: The numeric address that was connected to.
  returned: when checks were made
  type: str
  sample: 192.0.2.10
checks:
  description: What was checked.
  returned: when checks were made
  type: list
  elements: dict
  contains:
    name:
      description: What was checked, such as V(certificate), V(php) or V(closed).
      type: str
      returned: always
    target:
      description: The domain or port.
      type: str
      returned: always
    ok:
      description: Whether it holds; also true for what could not be tested.
      type: bool
      returned: always
    tested:
      description: Whether it could be tested from the controller.
      type: bool
      returned: always
    detail:
      description: What was seen.
      type: str
      returned: always
    hint:
      description: The way out.
      type: str
      returned: when it failed and there is one
  sample:
    - {name: status, target: www.example.com, ok: true, tested: true, detail: GET / answers 200}
not_tested:
  description: What could not be tested from the controller.
  returned: when checks were made
  type: list
  elements: str
  sample: [closed of port 3306]
error:
  description: What is wrong, with C(kind), C(message), C(hint) and C(item).
  returned: on failure
  type: dict
  sample:
    kind: integrity
    message: "1 of 9 checks failed at 192.0.2.10: php of www.example.com: /health.php answers 502."
    hint: See the logs of the web server and of php-fpm.
    item: www.example.com
"""
