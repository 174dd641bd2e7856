#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_certificate
short_description: Certificates from an ACME directory, through Debian's certbot
version_added: 1.0.0
description:
  - Has certbot prove the domains by files on the web server that already runs (http-01) and get their certificates.
  - Certbot's own timer renews them. A hook that this module installs then puts the new key and certificates in place in
    one step and reloads the units, so nothing depends on a play being run.
  - Makes one remote call, whether something changes or not.
  - When the directory refuses or does not answer, what is in service stays in service. Let
    M(scripts.toolkit.tls_certificate) make a V(placeholder) with the same name and paths first, so that the web server
    can start before there is a certificate.
options:
  certificates:
    description: The certificates of the host.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the certificate on this host, unique, also at certbot (C(--cert-name)).
          - Letters, digits, dots, hyphens and underscores.
        type: str
        required: true
      domains:
        description:
          - DNS names that the certificate is for; the name in O(certificates[].name) if not given.
          - Wildcards and addresses can't be proved this way and are refused.
        type: list
        elements: str
      directory_url:
        description: URL of the ACME directory, that of Let's Encrypt if not given.
        type: str
        default: https://acme-v02.api.letsencrypt.org/directory
      email:
        description: Address that the directory may write to; the account has none if not given.
        type: str
      webroot:
        description: Directory whose C(.well-known/acme-challenge) the web server serves for all the domains, over http.
        type: path
        default: /var/www/html
      key:
        description: Kind of the private key.
        type: dict
        suboptions:
          type:
            description: Algorithm.
            type: str
            choices: [ecdsa, rsa]
            default: ecdsa
          size:
            description:
              - For V(ecdsa) the NIST curve, V(256) (default), V(384) or V(521).
              - For V(rsa) the bits, V(2048), V(3072) (default), V(4096) or V(8192).
            type: int
      renew_before:
        description:
          - Renew within this many days before its end, at most half its life. Certbot's timer goes by it too.
        type: int
        default: 30
      renew_key:
        description: Make a new key at each renewal, rather than keep the key.
        type: bool
        default: true
      key_path:
        description: Path of the private key; C(/etc/ssl/scripts-toolkit/NAME/privkey.pem) if not given.
        type: path
      cert_path:
        description: Path of the certificate; C(/etc/ssl/scripts-toolkit/NAME/cert.pem) if not given.
        type: path
      chain_path:
        description: Path of the issuer's certificates; C(/etc/ssl/scripts-toolkit/NAME/chain.pem) if not given.
        type: path
      fullchain_path:
        description:
          - Path of the certificate followed by its issuer's.
          - C(/etc/ssl/scripts-toolkit/NAME/fullchain.pem) if not given.
        type: path
      owner:
        description: User who owns the private key, by name or number.
        type: str
        default: root
      group:
        description: Group of the private key, by name or number.
        type: str
        default: root
      mode:
        description: Permission bits of the private key. Others can never read it; V("0640") lets the group do so.
        type: str
        default: "0600"
      notify:
        description:
          - Units that V(reload) or V(restart) when the certificate changes, as a dictionary, now and at each renewal.
          - Where that fails, it stays noted on the host, and M(scripts.toolkit.services) settles it.
        type: dict
        default: {}
  agree_tos:
    description: Whether you agree to the terms of service of the directory. No certificate is asked for without.
    type: bool
    default: false
  ca_bundle:
    description:
      - File on the host with the CA certificates that a private directory is believed by, now and at the timer's
        renewals. Certbot then believes no others, so add the public ones if a public directory is used too.
    type: path
  timeout:
    description: Seconds that certbot may take per certificate.
    type: int
    default: 300
requirements:
  - certbot on the host, from Debian's package
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.bulk
seealso:
  - module: scripts.toolkit.tls_certificate
  - module: scripts.toolkit.services
author:
  - scripts.toolkit contributors (@scripts-toolkit)
"""

EXAMPLES = r"""
- name: A site has a certificate of Let's Encrypt
  scripts.toolkit.acme_certificate:
    certificates:
      - name: www.example.com
        domains: [www.example.com, example.com]
        email: admin@example.com
        webroot: /var/www/acme
        notify: {nginx.service: reload}
    agree_tos: true

- name: A site has a certificate of the directory in our own network
  scripts.toolkit.acme_certificate:
    certificates:
      - name: wiki.intern.example.com
        directory_url: https://acme.intern.example.com/directory
        notify: {nginx.service: reload}
    agree_tos: true
    ca_bundle: /etc/ssl/certs/intern-ca.pem
"""

RETURN = r"""
outcomes:
  description:
    - What was done (in check mode, would be done) per certificate.
    - The first one, with RV(outcomes[].item=renewal), is about certbot's timer and its hook.
  returned: always
  type: list
  elements: dict
  contains:
    item:
      description: Name of the certificate.
      type: str
    changed:
      description: Whether it or its files changed.
      type: bool
    reason:
      description: Why it was changed; null if it was not.
      type: str
      sample: the names differ
    status:
      description: V(issued), V(renewed) or V(valid).
      type: str
    serial:
      description: Serial number in hex; missing where it is only predicted, as are the dates and the fingerprint.
      type: str
    not_before:
      description: From when it is valid, UTC.
      type: str
      sample: "2026-11-21T09:00:00Z"
    not_after:
      description: Until when it is valid, UTC.
      type: str
    fingerprint_sha256:
      description: SHA-256 of the certificate in hex.
      type: str
    issuer:
      description: Name of its issuer.
      type: str
    domains:
      description: Its DNS names, sorted.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.module import run_module
from ansible_collections.scripts.toolkit.plugins.module_utils._core.outcomes import Outcomes
from ansible_collections.scripts.toolkit.plugins.module_utils._tls import pair
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.acme import Acme
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.acme_options import acme_certificate_spec, parse_acme


def work(module: AnsibleModule) -> Outcomes:
    """Bring all certificates to what is wanted."""
    wanted = parse_acme(module.params["certificates"])
    acme = Acme(
        Commands(module.run_command),
        check_mode=module.check_mode,
        agree_tos=module.params["agree_tos"],
        ca_bundle=module.params["ca_bundle"],
        timeout=module.params["timeout"],
    )
    # The loader has the source wherever the module runs from, also out of Ansible's zip.
    return acme.apply(wanted, pair.__spec__.loader.get_source(pair.__name__).encode())


def main() -> None:
    module = AnsibleModule(argument_spec=acme_certificate_spec(), supports_check_mode=True)
    run_module(module, work)


if __name__ == "__main__":
    main()
