# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ConflictError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.acme_options import acme_certificate_spec, parse_acme
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.options import parse_all, tls_certificate_spec
from ansible_collections.scripts.toolkit.plugins.module_utils._tls.x509 import KeyKind


def parse(*certificates, spec=tls_certificate_spec, parser=parse_all):
    validated = ArgumentSpecValidator(spec()).validate({"certificates": list(certificates)})
    assert not validated.error_messages
    return parser(validated.validated_parameters["certificates"])


def parse_as_acme(*certificates):
    return parse(*certificates, spec=acme_certificate_spec, parser=parse_acme)


def test_defaults_are_safe():
    (wanted,) = parse({"name": "www.example.com"})
    assert wanted.domains == ("www.example.com",)
    assert wanted.kind == KeyKind("ecdsa", 256)
    assert wanted.mode == 0o600
    assert (wanted.owner, wanted.group) == ("root", "root")
    assert wanted.paths["privkey.pem"] == "/etc/ssl/scripts-toolkit/www.example.com/privkey.pem"


def test_units_get_their_full_names():
    (wanted,) = parse({"name": "a.example", "notify": {"nginx": "reload", "mail.target": "restart"}})
    assert wanted.notify == {"nginx.service": "reload", "mail.target": "restart"}


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("name", "../etc", "name: '../etc'"),
        ("name", "a..b", "name: 'a..b'"),
        ("name", "*.example.com", r"name: '\*\.example\.com'"),
        ("domains", ["ok.example", "not a name"], "domains: 'not a name'"),
        ("domains", [], "domains is empty"),
        ("mode", "0644", "mode: '0644'"),
        ("mode", "0604", "mode: '0604'"),
        ("mode", "0700", "mode: '0700'"),
        ("mode", "rw", "mode='rw'"),
        ("lifetime", 0, "lifetime=0"),
        ("lifetime", 30, "renew_before=30 is not less than lifetime=30"),
        ("renew_before", -1, "renew_before=-1"),
        ("key", {"type": "rsa", "size": 1024}, "key.size=1024"),
        ("key", {"type": "ecdsa", "size": 255}, "key.size=255"),
        ("key_path", "tls.key", "key_path: 'tls.key'"),
        ("notify", {"nginx.service": "kill"}, "'kill'"),
        ("notify", {"../x": "reload"}, r"'\.\./x"),
        ("usages", [], "usages is empty"),
    ],
)
def test_a_bad_option_is_named_with_its_value(option, value, named):
    with pytest.raises(ValidationError, match=named):
        parse({"name": "www.example.com", option: value})


def test_a_name_is_unique():
    with pytest.raises(ConflictError, match=r"'a\.example' is there twice"):
        parse({"name": "a.example"}, {"name": "b.example"}, {"name": "a.example"})


def test_a_path_is_unique():
    with pytest.raises(ConflictError, match=r"/x/key is a path of 'a\.example' and of 'b\.example'"):
        parse({"name": "a.example", "key_path": "/x/key"}, {"name": "b.example", "cert_path": "/x//key"})
    with pytest.raises(ConflictError, match="two files"):
        parse({"name": "a.example", "key_path": "/x/pem", "cert_path": "/x/pem"})


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("domains", ["*.example.com"], "wildcard"),
        ("domains", ["192.0.2.1"], "an IP address"),
        ("directory_url", "acme.example/dir", "directory_url: 'acme.example/dir'"),
        ("directory_url", "https://", "directory_url"),
        ("email", "nobody", "email: 'nobody'"),
        ("webroot", "www", "webroot: 'www'"),
        ("renew_before", 0, "renew_before=0"),
    ],
)
def test_a_bad_acme_option_is_named_with_its_value(option, value, named):
    with pytest.raises(ValidationError, match=named):
        parse_as_acme({"name": "www.example.com", option: value})
