#!/usr/bin/python
# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificate
short_description: Keys and certificates, self-signed or from an own CA, renewed in time
version_added: 1.0.0
description:
  - Makes the private keys on the host, where they stay, and gets certificates for them.
  - Does the whole list in one remote call, and in a second one only when the own CA has to sign something.
  - A certificate is issued again when it is missing, broken or expired, when it ends within
    O(certificates[].renew_before) days, when its names, usages or kind of key differ from what is wanted, when it does
    not belong to its key, and when the CA has changed.
  - Key and certificate become visible together. The four paths are symbolic links into a directory that is switched in
    one step, so that a reloading service finds the old pair or the new pair, also after a crash. Files that stood at
    the paths before are kept under C(/etc/ssl/scripts-toolkit/NAME/found-*).
options:
  certificates:
    description: The certificates of the host.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the certificate on this host, unique. It is the name of its directory.
          - Letters, digits, dots, hyphens and underscores.
        type: str
        required: true
      domains:
        description:
          - DNS names and IP addresses that the certificate is for; the name in O(certificates[].name) if not given.
          - A wildcard may be the first label (V(*.example.com)); letters outside ASCII are encoded (IDNA).
        type: list
        elements: str
      provider:
        description:
          - Who issues it.
          - V(selfsigned) is the key itself.
          - V(own_ca) is the CA that O(ca) describes.
          - V(placeholder) makes a self-signed certificate only where there is none that a service could start with, and
            keeps whatever is there otherwise. M(scripts.toolkit.acme_certificate) then replaces it.
        type: str
        choices: [selfsigned, own_ca, placeholder]
        default: selfsigned
      key:
        description: Kind of the private key.
        type: dict
        suboptions:
          type:
            description: Algorithm. Browsers do not accept V(ed25519).
            type: str
            choices: [ecdsa, rsa, ed25519]
            default: ecdsa
          size:
            description:
              - For V(ecdsa) the NIST curve, V(256) (default), V(384) or V(521).
              - For V(rsa) the bits, V(2048), V(3072) (default), V(4096) or V(8192).
            type: int
      usages:
        description: Whether it is for a V(server), for a V(client), or for both.
        type: list
        elements: str
        choices: [server, client]
        default: [server]
      lifetime:
        description: Days from now until it ends. The own CA shortens it to its own end.
        type: int
        default: 397
      renew_before:
        description: Renew when the play runs within this many days before its end.
        type: int
        default: 30
      renew_key:
        description: Make a new key at each renewal, rather than keep the key.
        type: bool
        default: false
      key_path:
        description: Path of the private key; C(/etc/ssl/scripts-toolkit/NAME/privkey.pem) if not given.
        type: path
      cert_path:
        description: Path of the certificate; C(/etc/ssl/scripts-toolkit/NAME/cert.pem) if not given.
        type: path
      chain_path:
        description:
          - Path of the issuer's certificates; C(/etc/ssl/scripts-toolkit/NAME/chain.pem) if not given.
          - Has the certificate itself where that is self-signed.
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
          - Units that need V(reload) or V(restart) when the certificate changes, as a dictionary.
          - The debt is noted on the host before the change, and M(scripts.toolkit.services) settles it.
        type: dict
        default: {}
  ca:
    description:
      - The own CA, a directory on the controller. It is made when the first certificate is signed.
      - It signs the names, usages and lifetimes of this task; what a host's request asks for is not looked at.
    type: dict
    suboptions:
      name:
        description: Name of the CA, its subject.
        type: str
        default: scripts-toolkit
      directory:
        description:
          - Directory on the controller; C(ca/NAME) in the state directory (C(/var/lib/scripts-toolkit) for root,
            C(~/.local/state/scripts-toolkit) for others) if not given.
          - Holds C(ca.key), C(ca.crt) and C(issued.jsonl), the record of all certificates ever signed.
        type: path
      passphrase:
        description: Passphrase that the key of the CA is encrypted under. It never leaves the controller.
        type: str
      lifetime:
        description: Days that the CA's certificate is valid when it is made or renewed.
        type: int
        default: 3650
      renew:
        description:
          - Give the CA a new certificate for the same key and name when it has expired, or ends so early that a
            certificate would have to be renewed at once. The old one stays beside it.
          - Without it, that is an error, because clients have to be given the new C(ca.crt).
        type: bool
        default: false
  _issued:
    description: What the action plugin tells its remote half.
    type: dict
  _authority:
    description: What the action plugin tells its remote half.
    type: str
requirements:
  - python3-cryptography on the host; cryptography on the controller for the own CA
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
  - scripts.toolkit.attributes.bulk
seealso:
  - module: scripts.toolkit.acme_certificate
  - module: scripts.toolkit.services
author:
  - scripts.toolkit contributors (@scripts-toolkit)
"""

EXAMPLES = r"""
- name: Two sites have certificates of our own CA
  scripts.toolkit.tls_certificate:
    certificates:
      - name: www.example.com
        domains: [www.example.com, example.com, 192.0.2.10]
        provider: own_ca
        notify: {nginx.service: reload}
      - name: intern.example.com
        provider: own_ca
        lifetime: 90
        renew_before: 30
    ca:
      name: Example internal CA
      passphrase: "{{ vault_ca_passphrase }}"

- name: A mail server has a self-signed certificate that its group can read the key of
  scripts.toolkit.tls_certificate:
    certificates:
      - name: mail.example.com
        key: {type: rsa, size: 4096}
        group: ssl-cert
        mode: "0640"
        key_path: /etc/ssl/private/mail.key
        fullchain_path: /etc/ssl/certs/mail.pem
"""

RETURN = r"""
outcomes:
  description: What was done (in check mode, would be done) per certificate.
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
      description: V(issued), V(renewed), V(valid) or V(placeholder).
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
      sample: CN=Example internal CA
    domains:
      description: Its DNS names and addresses, sorted.
      type: list
      elements: str
notified:
  description: Units that need an action because of what changed, and the action.
  returned: always
  type: dict
  sample: {nginx.service: reload}
ca:
  description: The own CA on the controller.
  returned: when a certificate has the provider V(own_ca) and the CA exists
  type: dict
  contains:
    certificate:
      description: Path of its certificate on the controller.
      type: str
    fingerprint_sha256:
      description: SHA-256 of its certificate in hex.
      type: str
    not_after:
      description: Until when it is valid, UTC.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scripts.toolkit.plugins.module_utils._core.module import run_module
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.issue import Certificates
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.options import parse_all, tls_certificate_spec


def work(module: AnsibleModule) -> dict:
    """Prepare all certificates, or install those that the controller has signed."""
    wanted = parse_all(module.params["certificates"])
    certificates = Certificates(module.check_mode, module.params["_authority"])
    if module.params["_issued"] is not None:
        return certificates.install(wanted, module.params["_issued"]).result()
    return {**certificates.prepare(wanted).result(), "requests": certificates.requests}


def main() -> None:
    module = AnsibleModule(argument_spec=tls_certificate_spec(), supports_check_mode=True)
    run_module(module, work)


if __name__ == "__main__":
    main()
